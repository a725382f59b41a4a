import assert from 'node:assert/strict'
import { describe, it } from 'node:test'
import { TorLog } from './tor-log.ts'

const START = [
  'Nov 23 07:18:03.034 [notice] Tor 0.4.9.11 running on Linux with Libevent 2.1.12-stable, OpenSSL 3.0.19.',
  'Nov 23 07:18:03.036 [notice] Opened Control listener connection (ready) on /tmp/t/control',
  'Nov 23 07:18:03.000 [notice] Bootstrapped 0% (starting): Starting',
]

describe('TorLog', () => {
  it('knows the version, and that tor is up once it begins to bootstrap', () => {
    const log = new TorLog()
    const isUp = START.map((line) => {
      log.push(line)
      return log.isUp
    })
    assert.deepEqual(isUp, [false, false, true])
    assert.equal(log.version, '0.4.9.11')
  })

  it('follows the bootstrap, also in the words of older versions', () => {
    const log = new TorLog()
    log.push('Nov 23 07:18:04.000 [notice] Bootstrapped 45% (requesting_descriptors): Requesting relay descriptors')
    assert.deepEqual(log.bootstrap, {
      progress: 45,
      tag: 'requesting_descriptors',
      summary: 'Requesting relay descriptors',
    })
    log.push('Nov 23 07:18:05.000 [notice] Bootstrapped 100%: Done')
    assert.deepEqual(log.bootstrap, { progress: 100, tag: '', summary: 'Done' })
  })

  it('gives the warning before an error that only points to it', () => {
    const log = new TorLog()
    log.push("Nov 23 07:23:13.870 [warn] Failed to parse/validate config: Unknown option 'Foo'.  Failing.")
    log.push('Nov 23 07:23:13.870 [err] Reading config failed--see warnings above.')
    assert.match(log.complaint ?? '', /Unknown option 'Foo'/)
    log.push('Nov 23 07:23:13.870 [err] Out of memory')
    assert.equal(log.complaint, 'Out of memory')
  })

  it('takes a line that is not of tor as a warning', () => {
    const log = new TorLog()
    assert.equal(log.complaint, undefined)
    log.push('nsenter: cannot open /run/netns/lab: No such file or directory')
    assert.equal(log.complaint, 'nsenter: cannot open /run/netns/lab: No such file or directory')
    assert.deepEqual(log.warnings, ['nsenter: cannot open /run/netns/lab: No such file or directory'])
  })

  it('keeps the last 50 lines and the last 20 different warnings', () => {
    const log = new TorLog()
    for (let i = 0; i < 200; i++) log.push(`Nov 23 07:18:03.000 [warn] w${i >> 1}`)
    assert.deepEqual([log.lines.length, log.lines[0]?.text, log.lines.at(-1)?.text], [50, 'w75', 'w99'])
    assert.deepEqual([log.warnings.length, log.warnings[0], log.warnings.at(-1)], [20, 'w80', 'w99'])
  })
})

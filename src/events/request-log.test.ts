import assert from 'node:assert/strict'
import { describe, it } from 'node:test'
import { ANYBODY } from '../domain/caller.ts'
import { CbtorError } from '../domain/errors.ts'
import { FakeClock } from '../lib/fake-clock.ts'
import { createLogger } from '../lib/log.ts'
import { systemRandom } from '../lib/random.ts'
import { type Asked, type LogTargets, RequestLog } from './request-log.ts'

const ONION = `${'a'.repeat(55)}d.onion`
const DAY_MS = 24 * 60 * 60 * 1_000

describe('the line of a request to a target', () => {
  it('has who asked, the worker, the kind of target, its port, the status, bytes, time and tries, and no more', async () => {
    const { log, clock, lines } = createLog('off')
    const request = log.begin('fetch', { url: 'https://host.example:8443/path?query', caller: ANYBODY })
    await clock.advance(1_234.5)
    request.ended({
      status: 200,
      worker: 'tor02',
      attempts: [attempt('tor01'), attempt('tor02')],
      sent: 5,
      received: 7,
    })
    assert.deepEqual(lines.map(withoutTime), [
      {
        ...{ level: 20, kind: 'fetch', key: 'anybody', class: 'clear', port: 8443, outcome: 'ok', status: 200 },
        ...{ worker: 'tor02', sent: 5, received: 7, attempts: 2, ms: 1235, msg: 'request to a target ended' },
      },
    ])
  })

  it('has the code of what went wrong, not what it says', () => {
    const { log, lines } = createLog('off')
    const asked = { host: ONION, port: 80 }
    const error = new CbtorError('onion_not_found', 'Cannot reach secret', { attempts: [attempt('tor03')] })
    log.begin('tunnel', asked).failed(error)
    log.begin('tunnel', asked).failed(new Error('secret'))
    assert.deepEqual(
      lines.map(({ class: kind, port, outcome, worker, attempts }) => [kind, port, outcome, worker, attempts]),
      [
        ['onion', 80, 'onion_not_found', 'tor03', 1],
        ['onion', 80, 'internal', undefined, 0],
      ],
    )
    assert.doesNotMatch(JSON.stringify(lines), /secret/)
  })

  it('comes with where a bug is, without what that says', () => {
    const { log, lines } = createLog('off')
    const cause = new TypeError('no such secret')
    log.begin('fetch', { url: 'http://a.example/' }).failed(new CbtorError('internal', 'Cannot connect', { cause }))
    const [bug, line] = lines
    assert.deepEqual([bug?.level, bug?.error, line?.outcome], [50, 'TypeError', 'internal'])
    assert.match(String(bug?.at), /request-log\.test\.ts/)
    assert.doesNotMatch(JSON.stringify(lines), /secret/)
  })

  it('is there also for what is no URL', () => {
    const { log, lines } = createLog('hashed')
    log.begin('fetch', { url: 'no url' }).failed(new CbtorError('url_invalid', 'Cannot fetch'))
    assert.deepEqual([lines[0]?.outcome, lines[0]?.target], ['url_invalid', undefined])
  })

  it('tells hosts apart by a hash, when that is wished, which is the same however the host is written', () => {
    const { log, lines } = createLog('hashed')
    const hashes = (...asked: Asked[]) => {
      lines.length = 0
      for (const each of asked) log.begin('tunnel', each).failed(new Error())
      return new Set(lines.map(({ target }) => target))
    }
    const one = hashes(
      { host: 'Host.Example.', port: 80 },
      { host: 'host.example', port: 443 },
      { url: 'http://HOST.example/a' },
      { url: 'https://host.example:444/b?c' },
    )
    assert.equal(one.size, 1)
    assert.match(String([...one][0]), /^[0-9a-f]{16}$/)
    assert.equal(hashes({ url: `http://${ONION}/` }, { host: `www.${ONION.toUpperCase()}`, port: 80 }).size, 1)
    assert.equal(
      hashes({ host: 'a.example', port: 80 }, { host: 'b.example', port: 80 }, { host: ONION, port: 80 }).size,
      3,
    )
  })

  it('hashes with another key each day (UTC) and in each process, so that nobody can join days or undo it', async () => {
    const hash = ({ log, lines }: ReturnType<typeof createLog>) => {
      log.begin('tunnel', { host: 'host.example', port: 80 }).failed(new Error())
      return lines.at(-1)?.target
    }
    const test = createLog('hashed')
    const { clock } = test
    await clock.advance(DAY_MS - (clock.now() % DAY_MS))
    const atMidnight = hash(test)
    await clock.advance(DAY_MS - 1)
    assert.equal(hash(test), atMidnight)
    await clock.advance(1)
    assert.notEqual(hash(test), atMidnight)
    // Nor does the key of a day come back when the clock does.
    await clock.advance(-DAY_MS)
    assert.notEqual(hash(test), atMidnight)
    assert.notEqual(hash(createLog('hashed')), hash(createLog('hashed')))
  })
})

function createLog(targets: LogTargets) {
  const lines: Record<string, unknown>[] = []
  const clock = new FakeClock()
  const logger = createLogger('debug', { write: (line) => void lines.push(JSON.parse(line)) })
  return { log: new RequestLog({ clock, random: systemRandom, logger, targets }), clock, lines }
}

function attempt(worker: string) {
  return { worker, outcome: 'ok', ms: 1 } as const
}

function withoutTime({ time: _, ...fields }: Record<string, unknown>) {
  return fields
}

import assert from 'node:assert/strict'
import { describe, it } from 'node:test'
import { FakeClock } from '../lib/fake-clock.ts'
import { OutcomeLedger } from './outcome-ledger.ts'

describe('OutcomeLedger', { timeout: 10_000 }, () => {
  it('suspects a worker after three failures in a row over two targets at least', () => {
    assertVerdicts(`
      A fails x   > 
      A fails x   > 
      A fails x   > 
      A fails y   > suspect`)
    assertVerdicts(`
      A fails x   > 
      A passes y  > 
      A fails x   > 
      A fails y   > 
      A fails z   > suspect`)
  })

  it('takes failures whose target is not known for those of different targets', () => {
    assertVerdicts(`
      A fails   > 
      A fails   > 
      A fails   > suspect`)
  })

  it('begins anew after a verdict', () => {
    assertVerdicts(`
      A fails x   > 
      A fails y   > 
      A fails z   > suspect
      A fails x   > 
      A fails y   > 
      A fails z   > suspect`)
  })

  it('takes back the points of a target that fails on two workers', () => {
    assertVerdicts(`
      A fails x   > 
      A fails y   > 
      B fails y   > 
      A fails z   > 
      A fails y   > 
      A fails v   > suspect`)
  })

  it('gives them again when the target turns out to be well', () => {
    assertVerdicts(`
      A fails x   > 
      A fails y   > 
      B fails y   > 
      C passes y  > 
      A fails z   > suspect`)
  })

  it('blames a target also for failures that had their verdict', () => {
    assertVerdicts(`
      A fails x   > 
      A fails y   > 
      A fails z   > suspect
      B fails x   > 
      B fails y   > 
      B fails z   > 
      B fails v   > `)
  })

  it('blames no target for what a Tor said that is another one now', () => {
    assertVerdicts(`
      A fails y   > 
      B fails y   > 
      B forgets   > 
      A fails x   > 
      A fails z   > suspect`)
  })

  it('blames a target that fails on two workers, however often on one of them', () => {
    assertVerdicts(`
      B fails x   > 
      A fails x   > 
      A fails x   > 
      A fails x   > 
      A fails y   > 
      A fails x   > `)
  })

  it('blames no target for what was more than 30 s ago', async () => {
    const clock = new FakeClock(0)
    const ledger = new OutcomeLedger(clock)
    const [x, y] = [
      { host: 'x.test', port: 80 },
      { host: 'y.test', port: 80 },
    ]
    ledger.page('B').failed(x)
    await clock.advance(20_000)
    ledger.page('C').failed(y)
    await clock.advance(11_000)
    const verdicts = [x, x, y, y].map((target) => ledger.page('A').failed(target))
    assert.deepEqual(verdicts, [false, false, false, false])
    assert.equal(ledger.page('A').failed({ host: 'z.test', port: 80 }), true)
  })

  it('suspects a worker that fails half of ten requests within 30 s', async () => {
    const clock = new FakeClock(0)
    const page = new OutcomeLedger(clock).page('A')
    const verdicts: boolean[] = []
    for (let i = 0; i < 5; i++) {
      page.passed({ host: 'a.test', port: 80 })
      verdicts.push(page.failed({ host: 'b.test', port: 80 }))
      await clock.advance(1_000)
    }
    assert.deepEqual(verdicts, [false, false, false, false, true])
  })

  it('forgets after 30 s', async () => {
    const clock = new FakeClock(0)
    const page = new OutcomeLedger(clock).page('A')
    for (let i = 0; i < 40; i++) {
      assert.equal(page.failed({ host: `${i}.test`, port: 80 }), false)
      await clock.advance(16_000)
    }
  })

  it('tells ports of one host apart', () => {
    const page = new OutcomeLedger(new FakeClock(0)).page('A')
    page.failed({ host: 'a.test', port: 80 })
    page.failed({ host: 'a.test', port: 80 })
    assert.equal(page.failed({ host: 'a.test', port: 443 }), true)
  })

  it('forgets a worker whose Tor is another one', () => {
    const page = new OutcomeLedger(new FakeClock(0)).page('A')
    page.failed()
    page.failed()
    page.forget()
    assert.equal(page.failed(), false)
  })
})

/** Replays the left half of each `<worker> fails|passes|forgets <target> > <verdict>` line and checks the right half. */
function assertVerdicts(transcript: string): void {
  const ledger = new OutcomeLedger(new FakeClock(0))
  const expected = transcript
    .trim()
    .split('\n')
    .map((line) => line.trim().replace(/\s+/g, ' '))
  const actual = expected.map((line) => {
    const [deed = ''] = line.split(' >')
    const [worker = '', verb, host] = deed.split(' ')
    const target = host === undefined ? undefined : { host, port: 80 }
    const page = ledger.page(worker)
    if (verb === 'passes') page.passed(target)
    if (verb === 'forgets') page.forget()
    return `${deed} >${verb === 'fails' && page.failed(target) ? ' suspect' : ''}`
  })
  assert.deepEqual(actual, expected)
}

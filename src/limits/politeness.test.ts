import assert from 'node:assert/strict'
import { describe, it } from 'node:test'
import { FakeClock } from '../lib/fake-clock.ts'
import { POLITENESS_POLICY, Politeness, type PolitenessOptions } from './politeness.ts'

describe('how much a host gets from a worker', () => {
  it('is a burst of 4, then 2 per second', async () => {
    const { clock, politeness, ask } = lab()
    for (let n = 0; n < 4; n++) {
      assert.deepEqual(politeness.busy('a.test'), new Map())
      ask('a.test', 'w1')[Symbol.dispose]()
    }
    assert.deepEqual(politeness.busy('a.test'), new Map([['w1', 500]]))
    await clock.advance(499)
    assert.deepEqual(politeness.busy('a.test'), new Map([['w1', 1]]))
    await clock.advance(1)
    assert.deepEqual(politeness.busy('a.test'), new Map())
    ask('a.test', 'w1')[Symbol.dispose]()
    assert.deepEqual(politeness.busy('a.test'), new Map([['w1', 500]]))
  })

  it('is 4 at a time, for as long as they last', async () => {
    const { clock, politeness, ask, rooms } = lab()
    const places = Array.from({ length: 4 }, () => ask('a.test', 'w1'))
    await clock.advance(60_000)
    assert.deepEqual(politeness.busy('a.test'), new Map([['w1', undefined]]), 'time alone brings nothing')
    places[0]?.[Symbol.dispose]()
    places[0]?.[Symbol.dispose]()
    assert.deepEqual(rooms, ['a.test w1'])
    assert.deepEqual(politeness.busy('a.test'), new Map())
    ask('a.test', 'w1')
    assert.deepEqual(politeness.busy('a.test'), new Map([['w1', undefined]]))
  })

  it('is its own for each host and each worker', () => {
    const { politeness, ask } = lab()
    for (let n = 0; n < 4; n++) ask('a.test', 'w1')
    ask('a.test', 'w2')
    assert.deepEqual([...politeness.busy('a.test').keys()], ['w1'])
    assert.deepEqual(politeness.busy('b.test'), new Map())
    assert.deepEqual(politeness.busy('www.a.test'), new Map(), 'another name, another host')
  })

  it('is one for all names of an onion service', () => {
    const { politeness, ask } = lab()
    const onion = `${'a'.repeat(56)}.onion`
    for (let n = 0; n < 4; n++) ask(`w${n}.${onion}`, 'w1')
    assert.equal(politeness.busy(onion).size, 1)
  })

  it('is so many at a time, as many as come, where requests are not paced', () => {
    const { politeness } = lab()
    for (let n = 0; n < 100; n++) politeness.enter('a.test', 'w1', false)[Symbol.dispose]()
    assert.deepEqual(politeness.busy('a.test', false), new Map())
    for (let n = 0; n < 4; n++) politeness.enter('a.test', 'w1', false)
    assert.deepEqual(politeness.busy('a.test', false), new Map([['w1', undefined]]))
    for (let n = 0; n < 4; n++) politeness.enter('a.test', 'w2')[Symbol.dispose]()
    assert.deepEqual([...politeness.busy('a.test', false).keys()], ['w1'])
    assert.deepEqual([...politeness.busy('a.test').keys()], ['w1', 'w2'])
  })

  it('does not count a tunnel that stands, but for the rate', async () => {
    const { clock, politeness, ask } = lab()
    for (let n = 0; n < 4; n++) ask('a.test', 'w1').stands()
    assert.deepEqual(politeness.busy('a.test'), new Map([['w1', 500]]))
    await clock.advance(2_000)
    for (let n = 0; n < 4; n++) ask('a.test', 'w1').stands()
  })

  it('goes along with redirects, which wait for nobody but have to be made up for', async () => {
    const { clock, politeness, ask } = lab()
    const places = Array.from({ length: 4 }, () => ask('a.test', 'w1'))
    for (let n = 0; n < 6; n++) ask('b.test', 'w1')[Symbol.dispose]()
    for (const place of places) place.goesTo('b.test')
    await clock.advance(2_000)
    assert.deepEqual(politeness.busy('a.test'), new Map(), 'they have left')
    assert.deepEqual(politeness.busy('b.test'), new Map([['w1', undefined]]))
    for (const place of places) place[Symbol.dispose]()
    assert.deepEqual(politeness.busy('b.test'), new Map([['w1', 1_500]]))
  })
})

describe('Retry-After', () => {
  const KEY = 'key'

  it('holds the key that was told back from the host, on every worker, and nobody else', async () => {
    const { clock, politeness } = lab()
    politeness.answered(KEY, 'a.test', 429, '30')
    assert.equal(politeness.heldBackMs(KEY, 'a.test'), 30_000)
    assert.equal(politeness.heldBackMs('other', 'a.test'), 0)
    assert.equal(politeness.heldBackMs(KEY, 'b.test'), 0)
    await clock.advance(29_999)
    assert.equal(politeness.heldBackMs(KEY, 'a.test'), 1)
    await clock.advance(1)
    assert.equal(politeness.heldBackMs(KEY, 'a.test'), 0)
  })

  it('is honoured with 429 and 503 alone, at most 10 minutes, and unless that is off', () => {
    const { politeness } = lab()
    politeness.answered(KEY, 'a.test', 200, '30')
    politeness.answered(KEY, 'b.test', 503, '86400')
    politeness.answered(KEY, 'c.test', 429, 'soon')
    politeness.answered(KEY, 'd.test', 429, undefined)
    const heldBack = ['a.test', 'b.test', 'c.test', 'd.test'].map((host) => politeness.heldBackMs(KEY, host))
    assert.deepEqual(heldBack, [0, 600_000, 0, 0])
    const rude = lab({ policy: { ...POLITENESS_POLICY, honourRetryAfter: false } }).politeness
    rude.answered(KEY, 'a.test', 429, '30')
    assert.equal(rude.heldBackMs(KEY, 'a.test'), 0)
  })
})

describe('memory', () => {
  it('holds what a few seconds bring, of a million hosts', async () => {
    let now = 0
    const clock = Object.assign(new FakeClock(), { monotonic: () => now })
    const { politeness, ask } = lab({ clock })
    const longest = ask('long.test', 'w1')
    let most = 0
    for (let n = 0; n < 1_000_000; n++) {
      now += 1
      ask(`h${n}.test`, `w${n % 4}`)[Symbol.dispose]()
      most = Math.max(most, politeness.size)
    }
    assert.ok(most < 5_000, `${most} hosts at 1000 new ones per second`)
    for (let n = 0; n < 3; n++) ask('long.test', 'w1')
    assert.deepEqual([...politeness.busy('long.test').keys()], ['w1'], 'one that is used is not forgotten')
    longest[Symbol.dispose]()
  })

  it('is bounded even if all come at once, and so are those who were told when to come back', () => {
    const { politeness, ask } = lab({ capacity: 1_000 })
    for (let n = 0; n < 100_000; n++) {
      ask(`h${n}.test`, 'w1')[Symbol.dispose]()
      politeness.answered('key', `h${n}.test`, 429, '600')
    }
    assert.ok(politeness.size <= 1_001, `${politeness.size} hosts`)
    assert.equal(politeness.heldBackMs('key', 'h0.test'), 0)
    assert.equal(politeness.heldBackMs('key', 'h99999.test'), 600_000)
  })
})

function lab(options: Partial<PolitenessOptions> & { clock?: FakeClock } = {}) {
  const clock = options.clock ?? new FakeClock()
  const rooms: string[] = []
  const onRoom = (site: string, worker: string) => rooms.push(`${site} ${worker}`)
  const politeness = new Politeness({ policy: POLITENESS_POLICY, onRoom, ...options, clock })
  return { clock, politeness, rooms, ask: (host: string, worker: string) => politeness.enter(host, worker) }
}

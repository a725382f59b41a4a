import assert from 'node:assert/strict'
import { describe, it } from 'node:test'
import { CbtorError } from '../domain/errors.ts'
import { FakeClock } from '../lib/fake-clock.ts'
import { LINE_POLICY, type LinePolicy, WaitingLines } from './waiting-lines.ts'

const GONE = new Error('gone')

describe('who waits', () => {
  it('goes at once, in the same turn, when there is room', () => {
    const { enter } = lab({ places: 1 })
    assert.equal(enter('a'), 'a1')
  })

  it('is served as soon as there is room', async () => {
    const { enter, free, served, clock } = lab({ places: 0 })
    enter('a')
    await clock.advance(4_000)
    assert.deepEqual(served, [])
    await free()
    assert.deepEqual(served, ['a1'])
    assert.equal(clock.pending, 0)
  })

  it('is refused with the reason when time is over, and never waits for longer than it may itself', async () => {
    const { enter, refused, clock, lines } = lab({ places: 0 })
    enter('a')
    enter('b', { withinMs: 100 })
    await clock.advance(100)
    assert.deepEqual(refused, ['b1 overloaded'])
    await clock.advance(4_900)
    assert.deepEqual(refused, ['b1 overloaded', 'a1 overloaded'])
    assert.equal(lines.waiting, 0)
    assert.equal(clock.pending, 0)
  })

  it('is gone at once when its client is, and so is one whose service ends', async () => {
    const { enter, free, refused, served, clock, lines } = lab({ places: 0 })
    const client = new AbortController()
    enter('a', { signal: client.signal })
    enter('b')
    client.abort(GONE)
    assert.equal(lines.waiting, 1)
    await free()
    assert.deepEqual(refused, ['a1 gone'])
    assert.deepEqual(served, ['b1'])
    assert.equal(clock.pending, 0)
  })

  it('is refused with what its attempt throws', async () => {
    const { enter, refused, lines, clock, state } = lab({ places: 0 })
    enter('a')
    enter('b')
    state.fault = new CbtorError('no_worker', 'Cannot choose a worker: all are dead')
    lines.look('pool')
    await clock.advance(0)
    assert.deepEqual(refused, ['a1 no_worker', 'b1 no_worker'])
  })
})

describe('turns', () => {
  it('go round the keys, and by order of arrival within one', async () => {
    const { enter, free, served } = lab({ places: 0 })
    for (let n = 0; n < 5; n++) enter('greedy')
    enter('b')
    enter('c')
    enter('b')
    await free(8)
    assert.deepEqual(served, ['greedy1', 'b1', 'c1', 'greedy2', 'b2', 'greedy3', 'greedy4', 'greedy5'])
  })

  it('are not jumped by who comes when a place has just become free', async () => {
    const { enter, state, lines, served, clock } = lab({ places: 0 })
    enter('a')
    state.places = 1
    lines.look('pool')
    enter('b')
    await clock.advance(0)
    assert.deepEqual(served, ['a1'])
  })

  it('delay another key by one, however many the greedy one has waiting', async () => {
    const { enter, free, served } = lab({ places: 0 })
    for (let n = 0; n < 128; n++) enter('greedy')
    enter('b')
    await free(2)
    assert.deepEqual(served, ['greedy1', 'b1'])
  })

  it('are of one line at a time: who waits for a host holds up nobody who waits for the pool', async () => {
    const { enter, free, served, state, lines, clock } = lab({ places: 0 })
    state.busyHosts.add('slow.test')
    enter('a', { host: 'slow.test' })
    enter('a', { host: 'quick.test' })
    await free(2)
    assert.deepEqual(served, ['a2'])
    state.busyHosts.clear()
    lines.look('host slow.test')
    await clock.advance(0)
    assert.deepEqual(served, ['a2', 'a1'])
  })

  it('in the next line come by the order of arrival in the first one', async () => {
    const { enter, free, served, state, lines, clock } = lab({ places: 0 })
    state.busyHosts.add('x.test')
    enter('a', { host: 'x.test' })
    await clock.advance(1)
    enter('a', { host: 'y.test' })
    state.busyHosts.clear()
    lines.look('host x.test')
    await clock.advance(0)
    await free(2)
    assert.deepEqual(served, ['a1', 'a2'])
  })
})

describe('bounds', () => {
  it('are 128 of a key, beyond which it is refused at once', () => {
    const { enter, refused, lines } = lab({ places: 0 })
    for (let n = 0; n < 128; n++) enter('a')
    assert.equal(
      codeOfThrown(() => enter('a')),
      'overloaded',
    )
    enter('b')
    assert.equal(lines.waiting, 129)
    assert.deepEqual(refused, [])
  })

  it('are so many of all keys together', () => {
    const { enter, lines } = lab({ places: 0, policy: { total: 10 } })
    for (let n = 0; n < 10; n++) enter(`k${n}`)
    assert.equal(
      codeOfThrown(() => enter('other')),
      'overloaded',
    )
    assert.equal(lines.waiting, 10)
  })

  it('are 0 where nobody is to wait', () => {
    const { enter } = lab({ places: 0, policy: { waitMs: 0 } })
    assert.equal(
      codeOfThrown(() => enter('a')),
      'overloaded',
    )
  })
})

describe('prediction', () => {
  it('refuses at once who could not be served in time, with when to come back; and who could, waits', async () => {
    const { enter, free, clock } = lab({ places: 0 })
    for (let n = 0; n < 3; n++) enter('greedy')
    await clock.advance(400)
    await free()
    for (let n = 0; n < 20; n++) {
      enter('greedy')
      await clock.advance(400)
      await free()
    }
    // One is served each 400 ms, so no more than 12 wait for 5 s.
    for (let n = 0; n < 11; n++) enter('greedy')
    const refusal = thrownBy(() => enter('greedy'))
    assert.equal(refusal.code, 'overloaded')
    assert.ok((refusal.retryAfterMs ?? 0) >= 4_500 && (refusal.retryAfterMs ?? 0) <= 6_000, `${refusal.retryAfterMs}`)
    enter('b')
  })

  it('takes a line that has served nobody for slow, the longer the slower', async () => {
    const { enter, clock } = lab({ places: 0 })
    for (let n = 0; n < 10; n++) enter('greedy')
    await clock.advance(499)
    enter('greedy')
    await clock.advance(2)
    assert.equal(
      codeOfThrown(() => enter('greedy')),
      'overloaded',
    )
    enter('b')
  })

  it('goes by what is known of the line beforehand', () => {
    const { enter, state } = lab({ places: 0 })
    state.busyHosts.add('x.test')
    state.everyMs = 500
    for (let n = 0; n < 11; n++) enter('greedy', { host: 'x.test' })
    assert.equal(thrownBy(() => enter('greedy', { host: 'x.test' })).retryAfterMs, 5_500)
    enter('b', { host: 'x.test' })
  })

  it('refuses at once when it is known that room will come too late', () => {
    const { enter, state } = lab({ places: 1 })
    state.busyHosts.add('x.test')
    state.busyMs = 5_001
    const refusal = thrownBy(() => enter('a', { host: 'x.test' }))
    assert.equal(refusal.code, 'target_busy')
    assert.equal(refusal.retryAfterMs, 5_001)
  })

  it('looks again when time brings room', async () => {
    const { enter, state, served, clock } = lab({ places: 1 })
    state.busyHosts.add('x.test')
    state.busyMs = 120
    enter('a', { host: 'x.test' })
    state.busyHosts.clear()
    await clock.advance(119)
    assert.deepEqual(served, [])
    await clock.advance(1)
    assert.deepEqual(served, ['a1'])
  })
})

it('serves everybody once, in any order of coming, going and becoming free', async () => {
  for (let seed = 1; seed <= 200; seed++) {
    let state = seed
    const draw = (below: number) => {
      state = (state * 1_103_515_245 + 12_345) % 2_147_483_648
      return Math.floor((state / 2_147_483_648) * below)
    }
    const { enter, free, served, refused, lines, clock } = lab({ places: 0 })
    const clients: AbortController[] = []
    for (let n = 0; n < 60; n++) {
      const what = draw(4)
      if (what === 0) await free(1 + draw(3))
      else if (what === 1) clients[draw(clients.length)]?.abort(GONE)
      else {
        const client = new AbortController()
        clients.push(client)
        enter(`k${draw(4)}`, { signal: client.signal, host: `h${draw(3)}` })
      }
    }
    await free(60)
    await clock.advance(5_000)
    assert.equal(served.length + refused.length, clients.length, `seed ${seed}`)
    assert.equal(new Set([...served, ...refused]).size, clients.length)
    assert.equal(lines.waiting, 0)
    assert.equal(clock.pending, 0)
  }
})

function lab(options: { places: number; policy?: Partial<LinePolicy> }) {
  const clock = new FakeClock()
  const lines = new WaitingLines({ clock, policy: { ...LINE_POLICY, ...options.policy } })
  const state = {
    places: options.places,
    busyHosts: new Set<string>(),
    busyMs: undefined as number | undefined,
    everyMs: undefined as number | undefined,
    fault: undefined as CbtorError | undefined,
  }
  const counts = new Map<string, number>()
  const served: string[] = []
  const refused: string[] = []

  function enter(key: string, { host = 'any.test', withinMs = Number.POSITIVE_INFINITY, signal = NEVER } = {}) {
    const n = (counts.get(key) ?? 0) + 1
    counts.set(key, n)
    const name = `${key}${n}`
    const attempt = () => {
      if (state.fault) throw state.fault
      if (state.busyHosts.has(host)) {
        const refusal = new CbtorError('target_busy', 'Cannot choose a worker: the target is busy')
        return { line: `host ${host}`, refusal, inMs: state.busyMs, everyMs: state.everyMs }
      }
      if (state.places === 0) return { line: 'pool', refusal: new CbtorError('overloaded', 'Cannot choose a worker') }
      state.places--
      return { taken: name }
    }
    const taken = lines.enter({ key, withinMs, signal, lines: () => [`host ${host}`, 'pool'], attempt })
    if (!(taken instanceof Promise)) {
      served.push(taken)
      return taken
    }
    taken.then(
      (value) => served.push(value),
      (error) => refused.push(`${name} ${error === GONE ? 'gone' : error.code}`),
    )
    return undefined
  }

  async function free(count = 1): Promise<void> {
    for (let n = 0; n < count; n++) {
      state.places++
      lines.look('pool')
      await clock.advance(0)
    }
  }
  return { clock, lines, state, enter, free, served, refused }
}

const NEVER = new AbortController().signal

function thrownBy(act: () => unknown): CbtorError {
  try {
    act()
  } catch (error) {
    if (error instanceof CbtorError) return error
    throw error
  }
  assert.fail('it was not refused')
}

function codeOfThrown(act: () => unknown): string {
  return thrownBy(act).code
}

import assert from 'node:assert/strict'
import { describe, it } from 'node:test'
import fc from 'fast-check'
import { FakeClock } from '../lib/fake-clock.ts'
import type { Session } from './session.ts'
import { Sessions } from './sessions.ts'
import { own } from './test-lab.ts'
import { sendAll, TestShare } from './test-share.ts'

const NONE = new Set<string>()
const ME = own('me')
const exit = (letter: string) => ({ nickname: letter, fingerprint: letter.repeat(40) })

describe('sessions of several replicas', () => {
  it('have the worker, the identity and the exit that they have elsewhere, and tell of nothing that was told', async () => {
    const { replicas, send, clock } = lab(2)
    const [a, b] = replicas
    const session = a.open(ME)
    session.place('w2')
    session.use()[Symbol.dispose]()
    session.answered('w2', exit('A'), NONE)
    send()
    await clock.advance(1_000)
    const shown = b.get(ME)
    assert.deepEqual(
      { worker: shown.worker, generation: shown.generation, exit: shown.exit, createdAt: shown.createdAt },
      { worker: 'w2', generation: 0, exit: exit('A'), createdAt: clock.now() - 1_000 },
    )
    assert.deepEqual(shown.recentExits, [exit('A').fingerprint])
    const there = b.open(ME)
    assert.equal(there.worker, 'w2')
    assert.ok(there.isSettled)
    assert.equal(there.answered('w2', exit('A'), NONE), false)
    assert.equal(there.answered('w2', exit('B'), NONE), true)
  })

  it('are renewed and ended everywhere, and nobody goes on as who they were', () => {
    const { replicas, send, gone } = lab(2)
    const [a, b] = replicas
    a.open(ME).place('w1')
    send()
    assert.equal(b.open(ME).worker, 'w1')
    assert.equal(a.rotate(ME).generation, 1)
    send()
    assert.deepEqual(gone, ['1 me 0'])
    assert.deepEqual([b.open(ME).generation, b.open(ME).worker], [1, 'w1'])
    b.end(ME)
    send()
    assert.deepEqual(gone, ['1 me 0', '0 me 1'])
    assert.equal(a.find(ME), undefined)
    assert.equal(a.generationOf(ME), 2)
    const next = a.open(ME)
    assert.deepEqual([next.generation, next.worker], [2, undefined])
    next.place('w3')
    send()
    assert.deepEqual([b.open(ME).generation, b.open(ME).worker], [2, 'w3'])
  })

  it('are renewed and ended also where nobody has used them', () => {
    const { replicas, send } = lab(3)
    const [a, b, c] = replicas
    for (const key of ['r', 'e']) a.open(own(key)).place('w1')
    send()
    assert.equal(b.rotate(own('r')).worker, 'w1')
    c.end(own('e'))
    send()
    assert.equal(a.open(own('r')).generation, 1)
    assert.throws(() => a.get(own('e')), { code: 'session_not_found' })
    assert.throws(() => b.end(own('nobody')), { code: 'session_not_found' })
  })

  it('move everywhere, and are told of once', () => {
    const { replicas, send } = lab(2)
    const [a, b] = replicas
    const [here, there] = [a.open(ME), b.open(ME)]
    here.place('w1')
    here.answered('w1', exit('A'), NONE)
    send()
    there.answered('w1', exit('A'), NONE)
    assert.equal(here.answered('w2', exit('B'), new Set(['w1'])), true)
    send()
    assert.equal(there.worker, 'w2')
    assert.equal(there.answered('w2', exit('B'), NONE), false)
    assert.equal(b.get(ME).exit?.nickname, 'B')
  })

  it('are written when something changes, and once a minute while they are used', async () => {
    const { replicas, shares, send, clock } = lab(2)
    const [a] = replicas
    for (let second = 0; second < 600; second++) {
      const session = a.open(ME)
      session.place('w1')
      using _ = session.use()
      session.answered('w1', exit('A'), NONE)
      await clock.advance(1_000)
    }
    send()
    const writes = shares[0]?.writes ?? 0
    assert.ok(writes >= 10 && writes <= 14, String(writes))
  })

  it('last as long as anybody uses them, also by one request all the time', async () => {
    const { replicas, send, clock } = lab(2)
    const [a, b] = replicas
    const session = a.open(ME)
    using request = session.use(60_000)
    session.place('w1')
    for (let minute = 0; minute < 10; minute++) {
      send()
      assert.equal(b.find(ME)?.worker, 'w1')
      await clock.advance(60_000)
    }
    send()
    await clock.advance(10_000)
    request[Symbol.dispose]()
    send()
    await clock.advance(59_999)
    assert.ok(a.find(ME))
    assert.ok(b.find(ME), 'not sooner than where it was used')
    await clock.advance(1)
    assert.equal(a.find(ME), undefined)
    await clock.advance(15_000)
    assert.equal(b.find(ME), undefined)
    assert.equal(b.open(ME).generation, 1)
  })

  it('go on as they are elsewhere when that becomes known before they have a worker here', () => {
    const { replicas, send } = lab(2)
    const [a, b] = replicas
    const early = a.open(ME)
    b.open(ME).place('w2')
    b.rotate(ME)
    send()
    early.place('w1')
    assert.deepEqual([a.open(ME).generation, a.open(ME).worker], [1, 'w2'])
    assert.deepEqual([b.open(ME).generation, b.open(ME).worker], [1, 'w2'])
  })

  it('are listed everywhere, each once', async () => {
    const { replicas, send, clock } = lab(2)
    const [a, b] = replicas
    for (const [replica, key] of [
      [a, 'x'],
      [b, 'y'],
      [a, 'z'],
    ] as const) {
      replica.open(own(key)).place('w1')
      await clock.advance(1_000)
    }
    a.open({ owner: 'other', key: 'o' }).place('w1')
    send()
    const keys = (sessions: Sessions, limit?: number) =>
      sessions.list({ owner: '', ...(limit !== undefined && { limit }) }).map(({ key }) => key)
    assert.deepEqual(keys(a), ['z', 'y', 'x'])
    assert.deepEqual(keys(b), ['z', 'y', 'x'])
    assert.deepEqual(keys(b, 2), ['z', 'y'])
    assert.deepEqual(Object.keys(b.list()[0] ?? {}).sort(), Object.keys(a.list()[0] ?? {}).sort())
    assert.deepEqual([a.size, b.size], [3, 1])
  })

  it('are as old as they are, after a restart, too', async () => {
    const { replicas, shares, clock } = lab(1)
    replicas[0].open(ME).place('w1')
    const share = shares[0]
    assert.ok(share)
    let sessions = replicas[0]
    for (let hour = 0; hour < 24; hour++) {
      for (let minute = 0; minute < 60; minute += 10) {
        sessions.open(ME).use()[Symbol.dispose]()
        await clock.advance(600_000)
      }
      sessions[Symbol.dispose]()
      sessions = new Sessions({ clock, share })
      if (hour < 23) assert.equal(sessions.generationOf(ME), 0)
    }
    assert.equal(sessions.open(ME).generation, 1)
    assert.equal(sessions.open(ME).worker, 'w1')
    sessions[Symbol.dispose]()
    assert.equal(clock.pending, 0)
  })

  it('are forgotten by the share when there is no more room, unless somebody else needs them', () => {
    const { replicas, shares, send } = lab(2, 2)
    const [a, b] = replicas
    for (const key of ['x', 'y']) a.open(own(key)).place('w1')
    send()
    b.open(own('x'))
    for (const key of ['z', 'u']) a.open(own(key)).place('w1')
    send()
    const [first] = shares
    assert.deepEqual(
      ['x', 'y', 'z', 'u'].map((key) => first?.read(first.idOf(own(key)))?.worker),
      ['w1', undefined, 'w1', 'w1'],
    )
  })
})

it('replicas agree in the end on the session of a key, whatever was done to it where, and no identity ever comes back', async () => {
  type Step = readonly ['use' | 'move' | 'rotate' | 'end' | 'send' | 'wait', number, number]
  const steps = fc.array(
    fc.tuple(fc.constantFrom<Step[0]>('use', 'use', 'move', 'rotate', 'end', 'send', 'wait'), fc.nat(2), fc.nat(2)),
    { maxLength: 40 },
  )
  await fc.assert(
    fc.asyncProperty(steps, async (run) => {
      const { replicas, shares, send, clock } = lab(3)
      /** The highest generation that was left at each replica: nobody may be it there any more. */
      const left = [-1, -1, -1]
      for (const [what, at, to] of run) {
        const sessions = replicas[at as 0 | 1 | 2]
        const isThere = sessions.find(ME) !== undefined
        if (what === 'use' || what === 'move') {
          const session = sessions.open(ME)
          assert.ok(session.generation > (left[at] ?? -1), `${session.generation} again`)
          session.place(`w${at}`)
          session.use()[Symbol.dispose]()
          const moved = what === 'move' && session.worker !== undefined
          session.answered(`w${to}`, exit('ABC'[to] ?? 'A'), moved ? new Set([session.worker ?? '']) : NONE)
        } else if (what === 'rotate' && isThere) left[at] = sessions.rotate(ME).generation - 1
        else if (what === 'end' && isThere) {
          left[at] = sessions.get(ME).generation
          sessions.end(ME)
        } else if (what === 'send' && at !== to) {
          const [from, other] = [shares[at], shares[to]]
          assert.ok(from && other)
          from.sendTo(other)
        } else if (what === 'wait') await clock.advance(10 * 60_000)
      }
      send()
      // Whether one has ended is seen up to a minute later elsewhere; not once it is used.
      const session = replicas[0].open(ME)
      session.place('w0')
      session.use()[Symbol.dispose]()
      await clock.advance(60_000)
      session.use()[Symbol.dispose]()
      send()
      const seen = replicas.map((sessions) => {
        const found = sessions.find(ME)
        return `${sessions.generationOf(ME)} ${found?.worker}`
      })
      assert.equal(new Set(seen).size, 1, seen.join(', '))
      assert.ok(replicas[0].generationOf(ME) > Math.max(...left))
    }),
  )
})

function lab(count: number, capacity = 1_000) {
  const clock = new FakeClock()
  const shares = TestShare.several(count)
  const gone: string[] = []
  const replicas = shares.map((share, index) => {
    const sessions = new Sessions({ clock, share, capacity })
    sessions.onSuperseded(({ name, generation }: Session) => gone.push(`${index} ${name.key} ${generation}`))
    return sessions
  }) as unknown as readonly [Sessions, Sessions, Sessions]
  return { clock, shares, gone, replicas, send: () => sendAll(shares) }
}

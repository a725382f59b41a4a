import assert from 'node:assert/strict'
import { describe, it } from 'node:test'
import { FakeClock } from '../lib/fake-clock.ts'
import { Sessions } from './sessions.ts'
import { own } from './test-lab.ts'

const NONE = new Set<string>()
const exit = (letter: string) => ({ nickname: letter, fingerprint: letter.repeat(40) })

describe('Sessions', () => {
  it('are apart by their owners', () => {
    const sessions = new Sessions({ clock: new FakeClock() })
    const [mine, yours] = ['a', 'b'].map((owner) => ({ owner, key: 'me' }))
    assert.ok(mine && yours)
    sessions.open(mine).place('w1')
    assert.equal(sessions.find(yours), undefined)
    assert.equal(sessions.open(yours).worker, undefined)
    sessions.end(mine)
    assert.deepEqual(
      [sessions.find(mine), sessions.find(yours)?.owner, sessions.generationOf(yours)],
      [undefined, 'b', 0],
    )
  })

  it('are forgotten of the owner who has most, however many that one makes', () => {
    const sessions = new Sessions({ clock: new FakeClock(), capacity: 100 })
    const modest = Array.from({ length: 30 }, (_, n) => ({ owner: 'modest', key: `m${n}` }))
    for (const name of modest) sessions.open(name).place('w1')
    for (let n = 0; n < 10_000; n++) sessions.open({ owner: 'greedy', key: `g${n}` }).place('w1')
    assert.ok(modest.every((name) => sessions.find(name) !== undefined))
    assert.equal(sessions.list().length, 100)
    assert.equal(sessions.find({ owner: 'greedy', key: 'g9929' }), undefined)
    assert.ok(sessions.find({ owner: 'greedy', key: 'g9930' }))
    sessions.open({ owner: 'greedy', key: 'g9930' })
    sessions.open({ owner: 'greedy', key: 'another' })
    assert.ok(sessions.find({ owner: 'greedy', key: 'g9930' }), 'it was used')
    assert.equal(sessions.find({ owner: 'greedy', key: 'g9931' }), undefined)
  })

  it('shows what a key holds on to', async () => {
    const clock = new FakeClock(5_000)
    const sessions = new Sessions({ clock })
    assert.deepEqual(sessions.list(), [])
    const session = sessions.open(own('me'))
    using _ = session.use()
    session.place('w1')
    await clock.advance(1_000)
    session.answered('w1', exit('A'), NONE)
    sessions.open(own('me')).use()[Symbol.dispose]()
    assert.deepEqual(sessions.get(own('me')), {
      key: 'me',
      owner: '',
      worker: 'w1',
      generation: 0,
      createdAt: 5_000,
      lastUsedAt: 6_000,
      endsAt: 6_000 + 30 * 60_000,
      requests: 2,
      moved: 0,
      exit: exit('A'),
      recentExits: [exit('A').fingerprint],
    })
    assert.deepEqual(sessions.list(), [sessions.get(own('me'))])
  })

  it('lists those of one owner, and no more than are wanted', async () => {
    const clock = new FakeClock()
    const sessions = new Sessions({ clock })
    for (const [owner, key] of [
      ['a', 'short'],
      ['a', '1'],
      ['b', '2'],
      ['a', '3'],
      ['a', '1'],
    ] as const)
      sessions
        .open({ owner, key })
        .use(key === 'short' ? 1 : undefined)
        [Symbol.dispose]()
    await clock.advance(1)
    const listed = (wanted: Parameters<Sessions['list']>[0]) => sessions.list(wanted).map(({ key }) => key)
    assert.deepEqual(listed({}), ['1', '3', '2'])
    assert.deepEqual(listed({ owner: 'a' }), ['1', '3'])
    assert.deepEqual(listed({ owner: 'a', limit: 1 }), ['1'])
    assert.deepEqual(listed({ limit: 2 }), ['1', '3'])
    assert.deepEqual(listed({ owner: 'nobody' }), [])
  })

  it('ends a session that nobody has used for half an hour, or for as long as its request said, but none in use', async () => {
    const clock = new FakeClock()
    const sessions = new Sessions({ clock })
    sessions.open(own('usual')).use()[Symbol.dispose]()
    sessions.open(own('short')).use(60_000)[Symbol.dispose]()
    const busy = sessions.open(own('busy')).use(60_000)
    const keys = () => sessions.list().map(({ key }) => key)
    await clock.advance(59_999)
    assert.deepEqual(keys(), ['busy', 'short', 'usual'])
    await clock.advance(1)
    assert.deepEqual(keys(), ['busy', 'usual'])
    await clock.advance(29 * 60_000)
    assert.deepEqual(keys(), ['busy'])
    busy[Symbol.dispose]()
    await clock.advance(60_000)
    assert.deepEqual(keys(), [])
    assert.throws(() => sessions.get(own('usual')), { code: 'session_not_found' })
    assert.equal(clock.pending, 0)
    assert.equal(sessions.idleLimit(7 * 24 * 3_600_000), 24 * 3_600_000)
  })

  it('gives a key that comes back after its session has ended another identity, and chooses its worker anew', async () => {
    const clock = new FakeClock()
    const sessions = new Sessions({ clock })
    const first = sessions.open(own('me'))
    first.place('w1')
    assert.equal(sessions.generationOf(own('me')), 0)
    sessions.end(own('me'))
    assert.throws(() => sessions.end(own('me')), { code: 'session_not_found' })
    assert.equal(sessions.generationOf(own('me')), 1)
    const second = sessions.open(own('me'))
    assert.equal(second.generation, 1)
    assert.equal(second.worker, undefined)
    await clock.advance(3_600_000)
    assert.equal(sessions.open(own('me')).generation, 2)
    assert.equal(sessions.generationOf(own('other')), 0)
  })

  it('rotates to the next identity on the same worker, and forgets what requests of the old one tell', () => {
    const sessions = new Sessions({ clock: new FakeClock() })
    const old = sessions.open(own('me'))
    old.place('w1')
    old.answered('w1', exit('A'), NONE)
    const { generation, worker, exit: seen, requests } = sessions.rotate(own('me'))
    assert.deepEqual(
      { generation, worker, seen, requests },
      { generation: 1, worker: 'w1', seen: undefined, requests: 0 },
    )
    old.answered('w2', exit('B'), new Set(['w1']))
    const session = sessions.open(own('me'))
    assert.equal(session.worker, 'w1')
    assert.equal(session.answered('w1', exit('C'), NONE), false, 'another exit was asked for')
    assert.throws(() => sessions.rotate(own('nobody')), { code: 'session_not_found' })
  })

  it('goes on under a new identity when the old one is a day old, and tells of the other exit', async () => {
    const clock = new FakeClock()
    const sessions = new Sessions({ clock, idleMs: 3 * 24 * 3_600_000 })
    const first = sessions.open(own('me'))
    first.answered('w1', exit('A'), NONE)
    await clock.advance(24 * 3_600_000)
    const second = sessions.open(own('me'))
    assert.equal(second.generation, 1)
    assert.equal(second.worker, 'w1')
    assert.equal(second.answered('w1', exit('B'), NONE), true)
  })

  it('remembers so many and no more, forgetting the one that was not used for longest', () => {
    const sessions = new Sessions({ clock: new FakeClock(), capacity: 3 })
    for (const key of ['a', 'b', 'c', 'a', 'd']) sessions.open(own(key))
    assert.deepEqual(
      sessions.list().map(({ key }) => key),
      ['d', 'a', 'c'],
    )
  })
})

describe('Session', () => {
  const open = () => new Sessions({ clock: new FakeClock() }).open(own('me'))

  it('moves only away from a worker that could not take a request, and stays there', () => {
    const session = open()
    session.place('w1')
    session.place('w2')
    assert.equal(session.worker, 'w1')
    assert.equal(session.answered('w1', undefined, NONE), false)
    assert.equal(session.answered('w2', undefined, new Set(['w1'])), true)
    assert.equal(session.worker, 'w2')
    assert.equal(session.answered('w2', undefined, NONE), false)
    // A request that had been on its way elsewhere since before the move.
    assert.equal(session.answered('w3', undefined, new Set(['w1'])), true)
    assert.equal(session.worker, 'w2')
    assert.equal(session.answered('w2', undefined, NONE), true)
  })

  it('tells of another exit on the same worker, and of none where none is known', () => {
    const session = open()
    assert.equal(session.answered('w1', exit('A'), NONE), false)
    assert.equal(session.answered('w1', undefined, NONE), false)
    assert.equal(session.answered('w1', exit('A'), NONE), false)
    assert.equal(session.answered('w1', exit('B'), NONE), true)
  })
})

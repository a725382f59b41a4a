import assert from 'node:assert/strict'
import { describe, it } from 'node:test'
import { MemoryRegisterHub } from './cluster/memory-register-hub.ts'
import { SharedRegisters } from './cluster/shared-registers.ts'
import { SharedStore } from './cluster/shared-store.ts'
import { Identities } from './domain/identity.ts'
import { Sessions } from './fetch/sessions.ts'
import { FakeClock } from './lib/fake-clock.ts'
import { systemRandom } from './lib/random.ts'
import { Pool } from './pool/pool.ts'
import { type SessionStoreOptions, StoredSessions, workersToCome } from './service-sessions.ts'
import { SqliteStore } from './store/sqlite-store.ts'

const SECRET = Buffer.alloc(32, 7)
const ME = { owner: 'k1', key: 'my-secret-shop' }
const NONE = new Set<string>()
const EXIT = { nickname: 'e', fingerprint: 'E'.repeat(40), country: 'de' }
const DAY_MS = 86_400_000
const identities = new Identities(SECRET, () => systemRandom.bytes(32))

type Parts = Pick<SessionStoreOptions, 'store' | 'clock'> & Partial<SessionStoreOptions>

function stored(parts: Parts): StoredSessions {
  const keep = (write: () => void) => write()
  return new StoredSessions({ isShared: false, identities, secret: SECRET, random: systemRandom, keep, ...parts })
}

describe('sessions in the embedded store', () => {
  it('are after a restart who they were, and never who they were before', async () => {
    const clock = new FakeClock()
    using store = new SqliteStore(':memory:')
    const run = (use: (sessions: Sessions) => void) => {
      using share = stored({ store, clock })
      using sessions = new Sessions({ clock, share })
      use(sessions)
    }
    run((sessions) => {
      sessions.open(ME).place('w1')
      sessions.open({ ...ME, key: 'other' }).place('w1')
      sessions.rotate(ME)
    })
    run((sessions) => {
      assert.equal(sessions.generationOf(ME), 1)
      const session = sessions.open(ME)
      assert.deepEqual([session.generation, session.worker], [1, 'w1'])
      assert.equal(sessions.generationOf({ ...ME, key: 'other' }), 0)
      sessions.end(ME)
    })
    run((sessions) => {
      assert.equal(sessions.find(ME), undefined)
      assert.deepEqual([sessions.open(ME).generation, sessions.open(ME).worker], [2, undefined])
    })
    assert.equal(clock.pending, 0)
  })

  it('are written if their identity was renewed, and not for each request', async () => {
    const clock = new FakeClock()
    using store = new SqliteStore(':memory:')
    let writes = 0
    using share = stored({
      store,
      clock,
      keep(write) {
        writes++
        write()
      },
    })
    using sessions = new Sessions({ clock, share })
    writes = 0
    const use = () => {
      const session = sessions.open(ME)
      session.place('w1')
      using _ = session.use()
      session.answered('w1', EXIT, NONE)
    }
    for (let n = 0; n < 100; n++) use()
    await clock.advance(10_000)
    assert.deepEqual([writes, [...store.sessions()]], [0, []])
    sessions.rotate(ME)
    for (let n = 0; n < 100; n++) use()
    await clock.advance(200)
    assert.equal(writes, 1)
    assert.equal([...store.sessions()].length, 1)
  })

  it('are forgotten a day after their end', async () => {
    const clock = new FakeClock()
    using store = new SqliteStore(':memory:')
    using share = stored({ store, clock })
    using sessions = new Sessions({ clock, share })
    sessions.open(ME).place('w1')
    sessions.end(ME)
    await clock.advance(DAY_MS - 3_600_000)
    assert.equal([...store.sessions()].length, 1)
    await clock.advance(2 * 3_600_000)
    assert.equal([...store.sessions()].length, 0)
  })
})

describe('sessions in a store that replicas share', () => {
  it('have the same worker, identity and exit through each of them', async () => {
    await using place = await pool('gw1', 'gw2')
    const [a, b] = place.replicas
    assert.ok(a && b)
    const session = a.sessions.open(ME)
    session.place('gw1-tor01')
    session.answered('gw1-tor01', EXIT, NONE)
    await place.agree()
    const there = b.sessions.open(ME)
    assert.equal(there.worker, 'gw1-tor01')
    assert.equal(there.answered('gw1-tor01', EXIT, NONE), false)
    assert.deepEqual(b.sessions.get(ME).exit, EXIT)
    assert.equal(b.sessions.rotate(ME).generation, 1)
    await place.agree()
    assert.deepEqual([a.sessions.open(ME).generation, a.sessions.open(ME).worker], [1, 'gw1-tor01'])
    a.sessions.end(ME)
    await place.agree()
    assert.equal(b.sessions.find(ME), undefined)
    assert.equal(b.sessions.generationOf(ME), 2)
  })

  it('go on while the store is away, and agree when it is back', async () => {
    await using place = await pool('gw1', 'gw2')
    const [a, b] = place.replicas
    assert.ok(a && b)
    a.sessions.open(ME).place('gw1-tor01')
    await place.agree()
    b.link.cut()
    assert.equal(b.sessions.open(ME).worker, 'gw1-tor01')
    b.sessions.rotate(ME)
    a.sessions.rotate(ME)
    a.sessions.rotate(ME)
    await place.agree()
    assert.equal(b.sessions.generationOf(ME), 1)
    b.link.mend()
    await place.agree()
    assert.deepEqual([a.sessions.generationOf(ME), b.sessions.generationOf(ME)], [2, 2])
  })

  it('are listed by all, by their owner, those that were used last first', async () => {
    await using place = await pool('gw1', 'gw2')
    const [a, b] = place.replicas
    assert.ok(a && b)
    for (const key of ['x', 'y', 'z']) {
      a.sessions.open({ owner: 'k1', key }).place('gw1-tor01')
      a.sessions.open({ owner: 'k2', key }).place('gw1-tor01')
      await place.clock.advance(1_000)
    }
    a.sessions.end({ owner: 'k1', key: 'y' })
    await place.agree()
    const listed = (wanted: Parameters<Sessions['list']>[0]) =>
      b.sessions.list(wanted).map(({ owner, key }) => owner + key)
    assert.deepEqual(listed({ owner: 'k1' }), ['k1z', 'k1x'])
    assert.deepEqual(listed({ owner: 'k1', limit: 1 }), ['k1z'])
    assert.equal(listed({}).length, 5)
  })

  it('show nobody who looks into the store whose they are, nor to which key or exit they belong', async () => {
    await using place = await pool('gw1')
    const [a] = place.replicas
    assert.ok(a)
    const session = a.sessions.open(ME)
    session.place('gw1-tor01')
    session.answered('gw1-tor01', EXIT, NONE, 'rule-of-mine')
    const all = JSON.stringify([...a.store.sessions()].map(([id, one]) => [id, one, one.label?.toString('latin1')]))
    for (const secret of [ME.key, 'rule-of-mine', EXIT.fingerprint, '"k1"']) assert.ok(!all.includes(secret), secret)
    assert.equal([...a.store.sessions()].length, 1)
  })

  it('are not believed more than can be opened', async () => {
    await using place = await pool('gw1')
    const [a] = place.replicas
    assert.ok(a)
    const id = identities.sessionId(ME.owner, ME.key)
    const now = place.clock.now()
    const plain = { worker: 'gw1-tor01', generation: 4, createdAt: now, endsAt: now + 60_000 }
    a.store.setSession(id, { ...plain, label: Buffer.from('of somebody who has not the secret') })
    assert.deepEqual(a.sessions.list(), [])
    const session = a.sessions.open(ME)
    assert.deepEqual([session.generation, session.worker, session.last], [4, 'gw1-tor01', undefined])
  })
})

it('waits for the workers of a service that has just started, while nobody knows what became of them', async () => {
  const clock = new FakeClock()
  const members = ['up', 'starting', 'drained', 'dead'].map((id, index) => ({ name: { id, n: index + 1 } }))
  const workers = new Pool(members, { clock, random: systemRandom })
  workers.setHealth('up', 'healthy')
  workers.setHealth('dead', 'dead')
  workers.setDesired('drained', 'drained')
  const mayCome = [true, false].map((isShared) => workersToCome(workers, clock, isShared))
  const awaited = () =>
    mayCome.map((isAwaited) => ['up', 'starting', 'drained', 'dead', 'of another replica'].filter(isAwaited))
  assert.deepEqual(awaited(), [['starting', 'of another replica'], ['starting']])
  await clock.advance(4_500)
  assert.deepEqual(awaited(), [[], []])
})

async function pool(...names: readonly string[]) {
  const clock = new FakeClock(Date.UTC(2026, 10, 26))
  const hub = new MemoryRegisterHub(() => clock.now())
  const stack = new AsyncDisposableStack()
  const onError = (error: unknown) => assert.fail(String(error))
  const never = new AbortController().signal
  const replicas = []
  for (const run of names) {
    const link = hub.link()
    const registers = stack.use(await SharedRegisters.open({ hub: link, clock, run, onError }, never))
    const store = stack.use(new SharedStore({ registers, clock, run, secret: SECRET, onError }))
    const share = stack.use(stored({ store, clock, isShared: true }))
    replicas.push({ link, store, sessions: stack.use(new Sessions({ clock, share })) })
  }
  return {
    ...{ clock, replicas },
    agree: () => clock.advance(6_000),
    [Symbol.asyncDispose]: () => stack.disposeAsync(),
  }
}

import assert from 'node:assert/strict'
import { it } from 'node:test'
import { storeContract } from '../../test/contracts/store-contract.ts'
import { usageStoreContract } from '../../test/contracts/usage-store-contract.ts'
import type { Key, StoredKey } from '../domain/key.ts'
import { FakeClock } from '../lib/fake-clock.ts'
import type { Json } from '../lib/json.ts'
import type { StoreChange } from '../store/store.ts'
import { type MemoryHubLink, MemoryRegisterHub } from './memory-register-hub.ts'
import { SharedRegisters } from './shared-registers.ts'
import { type RankedRegisters, SharedStore } from './shared-store.ts'

const never = new AbortController().signal
const SECRET = Buffer.alloc(32, 3)
const DAY_MS = 86_400_000
const TODAY = '2026-11-26'
const onError = (error: unknown) => assert.fail(String(error))

interface Replica {
  readonly store: SharedStore
  readonly registers: SharedRegisters
  readonly link: MemoryHubLink
  readonly changes: StoreChange[]
}

async function pool(...runs: readonly string[]) {
  const clock = new FakeClock(Date.now())
  const hub = new MemoryRegisterHub(() => clock.now())
  const stack = new AsyncDisposableStack()
  async function join(run: string): Promise<Replica> {
    const link = hub.link()
    const registers = stack.use(await SharedRegisters.open({ hub: link, clock, run, onError }, never))
    const store = stack.use(new SharedStore({ registers, clock, run, secret: SECRET, onError }))
    const changes: StoreChange[] = []
    store.onChanged((change) => changes.push(change))
    return { store, registers, link, changes }
  }
  const replicas: Replica[] = []
  for (const run of runs) replicas.push(await join(run))
  return { clock, hub, replicas, join, [Symbol.asyncDispose]: () => stack.disposeAsync() }
}

for (const contract of [storeContract, usageStoreContract]) {
  contract('shared, by memory', async () => {
    const place = await pool()
    let runs = 0
    return {
      async use(work) {
        const { store, registers } = await place.join(`run${runs++}`)
        work(store)
        store[Symbol.dispose]()
        await registers[Symbol.asyncDispose]()
      },
      [Symbol.asyncDispose]: () => place[Symbol.asyncDispose](),
    }
  })
}

it('tells the others what has changed, and they have it', async () => {
  await using place = await pool('a', 'b')
  const { clock, replicas } = place
  const [a, b] = two(replicas)
  a.store.setMode('failover')
  a.store.setDesiredState('tor01', 'drained')
  a.store.addKey(storedKey('k'))
  a.store.setKeyUsed('k', 7_200_000)
  a.store.setSession('hash', { worker: 'tor01', generation: 0, createdAt: 1, endsAt: clock.now() })
  a.store.setCheckStatistics('a', { total: 1 })
  await clock.advance(20)
  assert.deepEqual(b.changes, [
    { what: 'mode' },
    { what: 'desired', worker: 'tor01' },
    { what: 'key', id: 'k' },
    { what: 'key', id: 'k' },
    { what: 'session', hash: 'hash' },
  ])
  assert.deepEqual(a.changes, [])
  assert.equal(b.store.mode(), 'failover')
  assert.deepEqual(b.store.desiredStates(), new Map([['tor01', 'drained']]))
  assert.deepEqual(b.store.keys(), [{ ...storedKey('k'), key: { ...storedKey('k').key, lastUsedAt: 7_200_000 } }])
  assert.equal(b.store.session('hash')?.worker, 'tor01')
  assert.deepEqual(b.store.checkStatistics(), new Map([['a', { total: 1 }]]))
  assert.deepEqual(a.store.poolSecret(), b.store.poolSecret())
})

it('leaves a revoked key revoked, whatever others who do not know it write meanwhile', async () => {
  await using place = await pool('a', 'b')
  const { clock, replicas } = place
  const [a, b] = two(replicas)
  a.store.addKey(storedKey('k'))
  await clock.advance(20)
  b.link.cut()
  a.store.removeKey('k')
  await clock.advance(1_000)
  b.store.setKeyUsed('k', clock.now())
  b.store.setKeyUsed('k', clock.now() + 3_600_000)
  b.link.mend()
  await clock.advance(6_000)
  for (const { store } of [a, b]) assert.deepEqual(store.keys(), [])
  assert.ok(b.changes.some((change) => change.what === 'key'))
})

it('takes no later write for a reason to bring back a key, and keeps no use of one that is gone', async () => {
  await using place = await pool('a', 'b')
  const { clock, replicas } = place
  const [a, b] = two(replicas)
  a.store.addKey(storedKey('k'))
  await clock.advance(20)
  b.link.cut()
  a.store.removeKey('k')
  await clock.advance(1_000)
  b.registers.set('key/k', b.registers.get('key/k'))
  b.link.mend()
  await clock.advance(6_000)
  for (const { store, registers } of [a, b]) {
    store.setKeyUsed('k', clock.now())
    assert.deepEqual([store.keys(), [...registers.entries('used')]], [[], []])
  }
})

it('knows the latest use of a key, whoever was last to tell', async () => {
  await using place = await pool('a', 'b')
  const { clock, replicas } = place
  const [a, b] = two(replicas)
  a.store.addKey(storedKey('k'))
  await clock.advance(20)
  b.link.cut()
  a.store.setKeyUsed('k', 7_200_000)
  await clock.advance(1_000)
  b.store.setKeyUsed('k', 3_600_000)
  b.link.mend()
  await clock.advance(6_000)
  for (const { store } of [a, b]) assert.equal(store.keys().at(0)?.key.lastUsedAt, 7_200_000)
})

it('lets a crash lose that a session was used, but not that it was placed, rotated or moved', () => {
  const safe: boolean[] = []
  const kept = new Map<string, Json>()
  const registers: RankedRegisters = {
    get: (name) => kept.get(name),
    entries: () => [],
    onChange: () => ({ [Symbol.dispose]() {} }),
    set(name, value = null, options) {
      kept.set(name, value)
      safe.push(options?.mayBeLost !== true)
    },
  }
  using store = new SharedStore({ registers, clock: new FakeClock(), run: 'a', secret: SECRET, onError })
  const session = { worker: 'tor01', generation: 0, createdAt: 1, endsAt: 2 }
  store.setSession('hash', session)
  store.setSession('hash', { ...session, endsAt: 3 })
  store.setSession('hash', { ...session, generation: 1 })
  store.setSession('hash', { ...session, generation: 1, worker: 'tor02' })
  assert.deepEqual(safe, [true, false, true, true])
})

it('keeps a rotation that others did not know of when they used the session', async () => {
  await using place = await pool('a', 'b')
  const { clock, replicas } = place
  const [a, b] = two(replicas)
  const endsAt = clock.now() + 600_000
  const session = { worker: 'tor01', generation: 4, createdAt: 1, endsAt }
  a.store.setSession('hash', session)
  await clock.advance(20)
  b.link.cut()
  a.store.setSession('hash', { ...session, generation: 5 })
  await clock.advance(1_000)
  b.store.setSession('hash', { ...session, endsAt: endsAt + 1_000 })
  b.link.mend()
  await clock.advance(6_000)
  for (const { store } of [a, b]) assert.equal(store.session('hash')?.generation, 5)
  await clock.advance(600_000)
  assert.equal(b.store.session('hash')?.generation, 5)
})

it('forgets a session a day after its end', async () => {
  await using place = await pool('a')
  const { clock, replicas } = place
  const [a] = replicas
  a?.store.setSession('hash', { worker: 'tor01', generation: 0, createdAt: 1, endsAt: clock.now() - DAY_MS + 30_000 })
  await clock.advance(20_000)
  assert.ok(a?.store.session('hash'))
  await clock.advance(70_000)
  assert.equal(a?.store.session('hash'), undefined)
})

it('forgets a session at once whose end is a day ago already', async () => {
  await using place = await pool('a', 'b')
  const { clock, replicas } = place
  const [a, b] = two(replicas)
  const session = { worker: 'tor01', generation: 0, createdAt: 1, endsAt: clock.now() }
  a.store.setSession('hash', session)
  await clock.advance(20)
  b.store.setSession('hash', { ...session, endsAt: clock.now() - 2 * DAY_MS })
  assert.equal(b.store.session('hash'), undefined)
  await clock.advance(20)
  assert.equal(a.store.session('hash'), undefined)
})

it('counts every byte once, whoever counts it, whatever is told twice, and across restarts', async () => {
  await using place = await pool('a', 'b')
  const { clock, replicas } = place
  const [a, b] = two(replicas)
  assert.deepEqual(a.store.usageOn(TODAY), new Map())
  assert.deepEqual(b.store.usageOn(TODAY), new Map())
  a.store.setUsage(TODAY, new Map([['k', 10]]))
  b.store.setUsage(TODAY, new Map([['k', 5]]))
  b.link.cut()
  a.link.losesNextAnswer = true
  a.store.setUsage(TODAY, new Map([['k', 30]]))
  b.store.setUsage(TODAY, new Map([['k', 7]]).set('other', 1))
  await clock.advance(6_000)
  b.link.mend()
  await clock.advance(6_000)
  for (const { store } of [a, b]) assert.deepEqual(store.usageOn(TODAY), new Map([['k', 37]]).set('other', 1))
  // A new run counts on from what all have used.
  const { store } = await place.join('a2')
  assert.equal(store.usageOn(TODAY).get('k'), 37)
  store.setUsage(TODAY, new Map([['k', 37 + 3]]))
  store.addUsage(TODAY, new Map([['k', 2]]))
  a.store.setUsage(TODAY, new Map([['k', 31]]))
  await clock.advance(6_000)
  assert.equal(b.store.usageOn(TODAY).get('k'), 43)
  b.store.setUsage('2026-11-27', new Map([['k', 9]]))
  assert.deepEqual(b.store.usageOn('2026-11-27'), new Map([['k', 9]]))
  await clock.advance(6_000)
  assert.deepEqual(a.store.usageOn('2026-11-27'), new Map([['k', 9]]))
})

it('works beside a replica of a version later: keeps what it does not know, and trusts no key that it does not understand', async () => {
  await using place = await pool('older')
  const { clock, replicas, hub } = place
  const [older] = replicas
  assert.ok(older)
  const later = await SharedRegisters.open({ hub: hub.link(), clock, run: 'later', onError }, never)
  const endsAt = clock.now()
  const key = { name: 'a', scopes: ['fetch', 'scope:of-later'], createdAt: 1, digest: '00', limits: {}, targets: {} }
  later.set('mode', { mode: 'mode_of_later', why: 'x' })
  later.set('desired/tor01', { desired: 'drained', by: 'somebody' })
  later.set('desired/tor02', { desired: 'state_of_later' })
  later.set('key/known', { ...key, colour: 'red' })
  later.set('key/bound-by-later', { ...key, targets: { onlyOnions: true } })
  later.set('key/limited-by-later', { ...key, limits: { perMonth: 3 } })
  later.set('session/x', { worker: 'tor01', generation: 1, createdAt: 1, endsAt, country: 'de' })
  later.set('usage/later', { day: TODAY, bytes: { k: 3 }, requests: { k: 1 } })
  later.set('kind-of-later/x', { a: 1 })
  await clock.advance(20)
  const { store } = older
  assert.equal(store.mode(), undefined)
  assert.deepEqual(store.desiredStates(), new Map([['tor01', 'drained']]))
  assert.deepEqual(
    store.keys().map((stored) => [stored.key.id, stored.key.scopes]),
    [['known', ['fetch']]],
  )
  assert.equal(store.usageOn(TODAY).get('k'), 3)
  store.setMode('sticky')
  store.setDesiredState('tor01', 'enabled')
  store.setSession('x', { worker: 'tor02', generation: 1, createdAt: 1, endsAt })
  await clock.advance(20)
  assert.deepEqual(later.get('mode'), { mode: 'sticky', why: 'x' })
  assert.deepEqual(later.get('desired/tor01'), { desired: 'enabled', by: 'somebody' })
  assert.deepEqual(later.get('desired/tor02'), { desired: 'state_of_later' })
  assert.deepEqual(later.get('session/x'), { worker: 'tor02', generation: 1, createdAt: 1, endsAt, country: 'de' })
  await later[Symbol.asyncDispose]()
  hub.lose()
  await clock.advance(6_000)
  const back = await SharedRegisters.open({ hub: hub.link(), clock, run: 'back', onError }, never)
  assert.deepEqual(back.get('kind-of-later/x'), { a: 1 })
  assert.deepEqual(back.get('key/bound-by-later'), { ...key, targets: { onlyOnions: true } })
  await back[Symbol.asyncDispose]()
})

function two(replicas: readonly Replica[]): readonly [Replica, Replica] {
  const [a, b] = replicas
  assert.ok(a && b)
  return [a, b]
}

function storedKey(id: string): StoredKey {
  const key: Key = {
    ...{ id, name: 'a key', scopes: ['fetch'], createdAt: 1_000, expiresAt: undefined, lastUsedAt: undefined },
    limits: { rate: 2 },
    targets: { deny: [':25'] },
  }
  return { key, digest: Buffer.alloc(32, id) }
}

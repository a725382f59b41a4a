import assert from 'node:assert/strict'
import { describe, it } from 'node:test'
import type { LeaseRequest } from '../../src/cluster/lease-plan.ts'
import { argumentsOf, entriesOf, LEASES } from '../../src/cluster/lease-script.ts'
import { StoreUnavailable } from '../../src/cluster/store-link.ts'
import { ValkeyLeases } from '../../src/cluster/valkey-leases.ts'
import { ValkeyPresence } from '../../src/cluster/valkey-presence.ts'
import { FakeClock } from '../../src/lib/fake-clock.ts'
import { seededRandom } from '../../src/lib/random.ts'
import { Seal } from '../../src/lib/seal.ts'
import type { PresencePlace } from './presence-contract.ts'

const WORKERS = Array.from({ length: 12 }, (_, i) => `tor${i + 1}`)
const never = new AbortController().signal

/** What every place promises that leases are kept in. Its scripts go by `clock`, or by real time that passes as fast or faster. */
export interface LeasesPlace extends PresencePlace {
  /** As much time passes for the store. */
  pass(clock: FakeClock, ms: number): Promise<void>
}

export function leasesContract(name: string, create: (clock: FakeClock) => Promise<LeasesPlace>): void {
  describe(`leases over ${name}`, { timeout: 120_000 }, () => {
    it('gives each worker to one replica, as rendezvous hashing says', async () => {
      await using world = await worldOf(create, ['gw1', 'gw2', 'gw3'])
      await world.advance(9_000)
      const shares = world.shares()
      assert.deepEqual(shares.flat().sort(), [...WORKERS].sort())
      for (const share of shares) assert.ok(share.length > 0, `${share.length}`)
      const [one, two] = world.replicas
      const worker = shares[1]?.[0] ?? ''
      assert.equal(one?.leases.held(worker), undefined)
      assert.equal(one?.leases.holder(worker), 'gw2')
      assert.ok((two?.leases.held(worker)?.token ?? 0) > 0)
    })

    it('takes over what a dead replica had within 10 s, with higher tokens', async () => {
      await using world = await worldOf(create, ['gw1', 'gw2'])
      await world.advance(9_000)
      const before = new Map(WORKERS.map((id) => [id, world.token(id)]))
      const orphans = world.shares()[1] ?? []
      assert.ok(orphans.length > 0)
      world.kill('gw2')
      await world.advance(10_000)
      for (const id of WORKERS) assert.ok(world.replicas[0]?.leases.held(id), id)
      for (const id of orphans) assert.ok(world.token(id) > (before.get(id) ?? 0), id)
    })

    it('takes over at once from one that says goodbye, and gives its share to one that comes', async () => {
      await using world = await worldOf(create, ['gw1', 'gw2'])
      await world.advance(9_000)
      await world.leave('gw2')
      await world.advance(1_500)
      assert.equal(world.shares()[0]?.length, WORKERS.length)
      await world.join('gw3')
      await world.advance(5_000)
      assert.deepEqual(world.shares().flat().sort(), [...WORKERS].sort())
      assert.ok((world.shares().at(-1)?.length ?? 0) > 0)
    })

    it('keeps what is healed until it is healed, whoever it belongs to', async () => {
      await using world = await worldOf(create, ['gw1'])
      await world.advance(9_000)
      const one = world.replicas[0]
      const keeps = WORKERS.map((id) => one?.leases.keep(id))
      const two = await world.join('gw2')
      await world.advance(6_000)
      assert.equal(world.shares()[0]?.length, WORKERS.length)
      for (const keep of keeps) keep?.[Symbol.dispose]()
      await world.advance(3_000)
      assert.ok(WORKERS.some((id) => two.leases.held(id)))
      assert.deepEqual(world.shares().flat().sort(), [...WORKERS].sort())
    })

    it('gives a worker to whoever has the operator’s order, though it be kept elsewhere', async () => {
      await using world = await worldOf(create, ['gw1', 'gw2'])
      await world.advance(9_000)
      const [one, two] = world.replicas
      const worker = world.shares()[0]?.[0] ?? ''
      const before = one?.leases.held(worker)?.token ?? 0
      const healing = one?.leases.keep(worker)
      const ended: string[] = []
      using _ = one?.leases.onChange((id) => void (one.leases.held(id) ?? ended.push(id)))
      using order = two?.leases.keep(worker)
      const seized = two?.leases.seize(worker, never)
      await world.advance(1_000)
      // It is given up there at once, and here only when that has ended.
      assert.ok(ended.includes(worker))
      assert.equal(two?.leases.held(worker), undefined)
      healing?.[Symbol.dispose]()
      await world.advance(1_000)
      assert.ok(((await seized)?.token ?? 0) > before)
      await world.advance(6_000)
      assert.equal(one?.leases.holder(worker), 'gw2')
      order?.[Symbol.dispose]()
      await world.advance(5_000)
      assert.ok(one?.leases.held(worker))
    })

    it('takes by order what a dead replica had, once its lease has run out', async () => {
      await using world = await worldOf(create, ['gw1', 'gw2'])
      await world.advance(9_000)
      const worker = world.shares()[1]?.[0] ?? ''
      world.kill('gw2')
      const seized = world.replicas[0]?.leases.seize(worker, never)
      await world.advance(7_000)
      assert.equal((await seized)?.worker, worker)
    })

    it('lets nobody hold anything while the store is down, and gives all back afterwards', async () => {
      await using world = await worldOf(create, ['gw1', 'gw2'])
      await world.advance(9_000)
      await world.place.freeze(world.clock)
      await world.clock.advance(6_000)
      assert.deepEqual(world.shares(), [[], []])
      await assert.rejects(
        world.replicas[0]?.leases.seize('tor1', never) ?? Promise.resolve(),
        (error) => error instanceof StoreUnavailable,
      )
      await world.place.thaw()
      await world.advance(4_000)
      assert.deepEqual(world.shares().flat().sort(), [...WORKERS].sort())
    })

    it('takes what whoever it belongs to does not have, and lets go of what is shared no more', async () => {
      await using world = await worldOf(create, ['gw1', 'gw2'])
      world.replicas[1]?.leases.setWorkers([])
      await world.advance(22_000)
      assert.equal(world.shares()[0]?.length, WORKERS.length)
      world.replicas[0]?.leases.setWorkers(['tor1'])
      await world.advance(1_000)
      assert.deepEqual(world.shares()[0], ['tor1'])
      await assert.rejects(world.replicas[0]?.leases.seize('tor2', never) ?? Promise.resolve(), /not shared/)
    })

    it('gives nothing away that it may have forgotten whose it was, and believes who has it', async () => {
      const clock = new FakeClock(1_800_000_000_000)
      await using place = await create(clock)
      const link = await place.link()
      const ask = async (run: string, request: LeaseRequest) => {
        const answer = await link.run(LEASES, [link.key('leases')], argumentsOf(run, [request]))
        return entriesOf(answer).find(({ worker }) => worker === request.worker)?.run ?? ''
      }
      const wait = async (ms: number) => {
        for (let passed = 0; passed < ms; passed += 1_000) {
          await place.pass(clock, 1_000)
          await ask('three', { type: 'renew', worker: 'tor3', token: 1 })
        }
      }
      assert.equal(await ask('two', { type: 'take', worker: 'tor1' }), '')
      assert.equal(await ask('two', { type: 'take', worker: 'tor2' }), '')
      assert.equal(await ask('one', { type: 'renew', worker: 'tor1', token: 7 }), 'one')
      await wait(5_000)
      assert.equal(await ask('two', { type: 'take', worker: 'tor1' }), 'one')
      assert.equal(await ask('two', { type: 'take', worker: 'tor2' }), '')
      await wait(1_000)
      assert.equal(await ask('two', { type: 'take', worker: 'tor1' }), 'two')
      assert.equal(await ask('two', { type: 'take', worker: 'tor2' }), 'two')
      assert.equal(await ask('one', { type: 'renew', worker: 'tor1', token: 7 }), 'two')
      // As if its clock had been set: nobody knows how much time has passed.
      await place.pass(clock, 60_000)
      assert.equal(await ask('one', { type: 'take', worker: 'tor1' }), 'two')
      await wait(6_000)
      assert.equal(await ask('one', { type: 'take', worker: 'tor1' }), 'one')
    })

    it('ends an order that waits when its signal aborts', async () => {
      await using world = await worldOf(create, ['gw1', 'gw2'])
      await world.advance(9_000)
      const worker = world.shares()[1]?.[0] ?? ''
      using _ = world.replicas[1]?.leases.keep(worker)
      const controller = new AbortController()
      const seized = assert.rejects(
        world.replicas[0]?.leases.seize(worker, controller.signal) ?? Promise.resolve(),
        /no patience/,
      )
      await world.advance(500)
      controller.abort(new Error('no patience'))
      await seized
    })
  })
}

async function worldOf(create: (clock: FakeClock) => Promise<LeasesPlace>, names: readonly string[]) {
  const clock = new FakeClock(1_800_000_000_000)
  const place = await create(clock)
  const dead = new Set<string>()
  const replicas: { readonly name: string; readonly presence: ValkeyPresence; readonly leases: ValkeyLeases }[] = []
  const onError = (error: unknown) => {
    throw error
  }

  async function join(replica: string) {
    const real = await place.link()
    const link = {
      get isUp() {
        return real.isUp && !dead.has(replica)
      },
      key: real.key.bind(real),
      call: real.call.bind(real),
      run: real.run.bind(real),
      subscribe: real.subscribe.bind(real),
      onChange: real.onChange.bind(real),
    }
    const self = { replica, run: `run-of-${replica}`, version: '1.0.0', startedAt: clock.now() }
    const seal = new Seal(Buffer.alloc(32, 1), 'presence', seededRandom(1))
    const presence = new ValkeyPresence({ link, seal, clock, self, onError })
    const leases = new ValkeyLeases({ link, presence, clock, onError })
    leases.setWorkers(WORKERS)
    const joined = { name: replica, presence, leases }
    replicas.push(joined)
    await place.settled()
    return joined
  }

  const world = {
    clock,
    place,
    replicas,
    join,
    /** It asks and says nothing more, as far as the others see. */
    kill: (replica: string) => void dead.add(replica),
    async leave(replica: string): Promise<void> {
      const gone = replicas.findIndex(({ name }) => name === replica)
      for (const { leases, presence } of replicas.splice(gone, 1)) {
        await leases[Symbol.asyncDispose]()
        await presence[Symbol.asyncDispose]()
      }
      await place.settled()
    },
    /** What each holds. Never may two hold the same. */
    shares(): readonly (readonly string[])[] {
      return replicas.map(({ leases }) => WORKERS.filter((id) => leases.held(id)))
    },
    token: (worker: string) => Math.max(0, ...replicas.map(({ leases }) => leases.held(worker)?.token ?? 0)),
    async advance(ms: number): Promise<void> {
      for (let passed = 0; passed < ms; passed += 100) {
        await place.pass(clock, 100)
        await place.settled()
        const held = world.shares().flat()
        assert.equal(new Set(held).size, held.length, 'two replicas hold the same worker')
      }
    },
    async [Symbol.asyncDispose]() {
      for (const { leases } of replicas) await leases[Symbol.asyncDispose]()
      for (const { presence } of replicas) await presence[Symbol.asyncDispose]()
      await place[Symbol.asyncDispose]()
      assert.equal(clock.pending, 0, 'a timer is left')
    },
  }
  for (const name of names) await join(name)
  return world
}

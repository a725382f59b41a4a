import assert from 'node:assert/strict'
import { Paused } from '../test/contracts/paused.ts'
import { HealthShare } from './cluster/health-share.ts'
import { memoryLeases } from './cluster/memory-leases.ts'
import { MemoryStore } from './cluster/memory-link.ts'
import { ValkeyLeases } from './cluster/valkey-leases.ts'
import { ValkeyPresence } from './cluster/valkey-presence.ts'
import { Monitor } from './health/monitor.ts'
import type { MonitorEvent } from './health/monitored.ts'
import { DEFAULT_POLICY, type HealthPolicy } from './health/policy.ts'
import { PoolGovernor } from './health/pool-governor.ts'
import { FakeClock } from './lib/fake-clock.ts'
import { seededRandom } from './lib/random.ts'
import { Seal } from './lib/seal.ts'

/** A box that all gateways reach: what it is told, and what comes of it. */
interface Box {
  state: 'works' | 'broken' | 'coming'
  /** Whether an order to it mends it. */
  isMendable: boolean
  /** Gateways whose way there is broken. */
  readonly cutOff: Set<string>
  readonly orders: {
    readonly at: number
    readonly by: string
    readonly what: 'restart' | 'reboot'
    readonly fence: number
  }[]
  /** Probes, by gateway. */
  readonly probes: Map<string, number>
}

const COMES_UP_MS = 3_000

export interface TestGatewaysOptions {
  readonly gateways: readonly string[]
  readonly workers: readonly string[]
  readonly policy?: Partial<HealthPolicy>
  readonly hasHost?: boolean
}

/**
 * Gateways of one pool in one process: boxes and the store are simulated; what they say to each other, who heals, and the watch over
 * each worker are real. An order to a box that works, or comes up, by another than gave the one before, ends the test: it was healed
 * twice.
 */
export async function gatewaysOf({ gateways, workers, policy, hasHost = false }: TestGatewaysOptions) {
  const clock = new FakeClock(1_800_000_000_000)
  const store = new MemoryStore(clock, new Map([memoryLeases()]))
  const faults: string[] = []
  const boxes = new Map<string, Box>(
    workers.map((id) => [
      id,
      { state: 'works', isMendable: true, cutOff: new Set(), orders: [], probes: new Map<string, number>() },
    ]),
  )
  const boxOf = (id: string): Box => boxes.get(id) ?? assert.fail(`there is no ${id}`)
  let runs = 0

  function order(id: string, by: string, what: 'restart' | 'reboot', fence: number | undefined): void {
    const box = boxOf(id)
    if (box.cutOff.has(by)) throw new Error('the box cannot be reached')
    const last = box.orders.at(-1)
    if (fence === undefined) faults.push(`${by} gives ${id} an order without a lease`)
    if (last !== undefined && (fence ?? 0) < last.fence)
      faults.push(`${by} gives ${id} an order after it lost its lease`)
    const isTwice = box.state !== 'broken' && last?.by !== by && box.cutOff.size === 0
    if (isTwice) faults.push(`${by} heals ${id} a second time`)
    box.orders.push({ at: clock.now(), by, what, fence: fence ?? 0 })
    if (!box.isMendable) return
    box.state = 'coming'
    clock.timer(COMES_UP_MS, () => {
      if (box.state === 'coming') box.state = 'works'
    })
  }

  function start(replica: string) {
    const process = new Paused()
    const own = process.clock(clock)
    const wire = store.link()
    const link = process.link(wire)
    const onError = (error: unknown) => void faults.push(String(error))
    const random = seededRandom(++runs)
    const seal = new Seal(Buffer.alloc(32, 1), 'presence', random)
    const self = { replica, run: `run${runs}`, version: '1.0.0', startedAt: clock.now() + runs }
    const presence = new ValkeyPresence({ link, clock: own, seal, self, onError })
    const leases = new ValkeyLeases({ link, clock: own, presence, onError })
    leases.setWorkers(workers)
    const share = new HealthShare({ presence, leases, clock: own, onError })
    const governor = new PoolGovernor({ clock: own })
    const events: { readonly worker: string; readonly at: number; readonly event: MonitorEvent }[] = []
    const end = new AbortController()
    const running: Promise<void>[] = []
    const monitors = new Map<string, Monitor>()
    const look = async (id: string, signal: AbortSignal) => {
      await own.sleep(50, signal)
      const box = boxOf(id)
      if (box.state !== 'works' || box.cutOff.has(replica)) throw new Error('no circuit')
    }
    for (const id of workers) {
      const monitor = new Monitor(
        {
          async probe(signal) {
            const { probes } = boxOf(id)
            probes.set(replica, (probes.get(replica) ?? 0) + 1)
            await look(id, signal)
            return { verdict: 'passed' }
          },
          recover: (attempt, signal) =>
            attempt.climb(
              [
                { name: 'reach', timeLimitMs: 5_000, run: (limit) => own.sleep(200, limit) },
                {
                  name: 'restart',
                  timeLimitMs: 20_000,
                  async run(limit) {
                    order(id, replica, 'restart', attempt.fence)
                    await own.sleep(COMES_UP_MS, limit)
                  },
                },
                { name: 'verify', timeLimitMs: 5_000, run: (limit) => look(id, limit) },
              ],
              signal,
            ),
          ...(hasHost && {
            async reboot(signal: AbortSignal, fence?: number) {
              order(id, replica, 'reboot', fence)
              await own.sleep(COMES_UP_MS, signal)
            },
          }),
        },
        {
          clock: own,
          random,
          policy: { ...DEFAULT_POLICY, ...policy },
          ward: governor.ward(id),
          shared: share.watch(id, 'shared'),
          onEvent: (event) => events.push({ worker: id, at: clock.now(), event }),
        },
      )
      monitors.set(id, monitor)
      running.push(monitor.run(end.signal))
    }
    return {
      ...{ replica, process, wire, presence, leases, share, governor, events },
      monitor: (id: string) => monitors.get(id) ?? assert.fail(`there is no ${id}`),
      async [Symbol.asyncDispose]() {
        process.resume()
        end.abort(new Error('the test is over'))
        await Promise.all(running)
        share[Symbol.dispose]()
        await leases[Symbol.asyncDispose]()
        await presence[Symbol.asyncDispose]()
      },
    }
  }

  const running = new Map(gateways.map((name) => [name, start(name)]))
  const gone: Awaited<ReturnType<typeof start>>[] = []
  const gateway = (name: string) => running.get(name) ?? assert.fail(`there is no ${name}`)

  const world = {
    clock,
    store,
    gateway,
    box: boxOf,
    get all() {
      return [...running.values()]
    },
    /** Who has its lease. */
    healer: (id: string) => [...running.values()].find(({ leases }) => leases.held(id))?.replica,
    break(id: string): void {
      boxOf(id).state = 'broken'
    },
    /** As by kill -9. */
    kill(name: string): void {
      const each = gateway(name)
      each.process.pause()
      gone.push(each)
      running.delete(name)
    },
    /** After it was killed, or anew. */
    start: (name: string) => void running.set(name, start(name)),
    async advance(ms: number): Promise<void> {
      for (let passed = 0; passed < ms; passed += 500) {
        await clock.advance(Math.min(500, ms - passed))
        assert.deepEqual(faults, [])
      }
    },
    statuses: (id: string) => [...running.values()].map((each) => each.monitor(id).health.status),
    async [Symbol.asyncDispose]() {
      store.thaw()
      let isOver = false
      const ending = (async () => {
        for (const each of [...running.values(), ...gone]) await each[Symbol.asyncDispose]()
        isOver = true
      })()
      // What is on its way over a slow link arrives.
      while (!isOver) await clock.advance(500)
      await ending
    },
  }
  // Until it is known who heals what.
  await world.advance(10_000)
  return world
}

import type { HealthShare } from './cluster/health-share.ts'
import type { ServiceConfig } from './config/read-config.ts'
import { reachOf, type WorkerName } from './domain/worker.ts'
import type { Fetcher } from './fetch/fetcher.ts'
import type { MonitorEvent } from './health/monitored.ts'
import { OutcomeLedger } from './health/outcome-ledger.ts'
import { PoolGovernor, type PoolHealthEvent } from './health/pool-governor.ts'
import { deadline, onAbort } from './lib/abort.ts'
import type { Clock } from './lib/clock.ts'
import type { Random } from './lib/random.ts'
import { Pool } from './pool/pool.ts'
import { receivesTraffic } from './service-backend.ts'
import type { ServiceEvents } from './service-events.ts'
import { governorPolicyOf, healthPolicyOf } from './service-policy.ts'
import type { Store } from './store/store.ts'
import { WorkerUnit, type WorkerUnitOptions } from './worker-unit.ts'
import type { WorkerDriver } from './workers/driver.ts'

type WorkerConfig = ServiceConfig['workers'][number]

export interface ServiceWorkersOptions {
  readonly clock: Clock
  readonly random: Random
  readonly store: Pick<Store, 'desiredStates' | 'mode'>
  readonly told: ServiceEvents
  createDriver(worker: WorkerConfig): WorkerDriver
  probe(id: string, signal: AbortSignal): ReturnType<WorkerUnitOptions['probe']>
  /** What goes through the workers, which has to leave those that are lost. Asked for when one is. */
  traffic(): Pick<Fetcher, 'abandonWorker' | 'abandonStalled' | 'trustAgain'>
  onPoolHealth?(event: PoolHealthEvent): void
  /** Told when a worker that had as much as it takes has room again. */
  onRoom(worker: WorkerName): void
  /** Other gateways' part in the watch over a worker; left out where there are none. */
  readonly share?: HealthShare | undefined
  /** Told of a worker that is none any more. */
  onRemoved(id: string): void
}

/** The workers, the watch over them, and the pool of them. Disposing it ends the workers. */
export interface ServiceWorkers extends AsyncDisposable {
  readonly pool: Pool<WorkerUnit>
  unit(id: string): WorkerUnit
  start(): void
  /** Takes in a worker and starts it, under the lowest number that is free unless one is given. */
  add(id: string, driver: WorkerDriver, n?: number): void
  /**
   * Gives the worker no more requests, lets those that it has go on for `limitMs`, then stops its Tor and forgets it. The signal ends the
   * waiting, not the rest.
   */
  remove(id: string, limitMs: number, signal: AbortSignal): Promise<void>
  /** How health is judged from now on. */
  reconfigure(config: Pick<ServiceConfig, 'health'>): void
  /** Process ids of the local workers that run, by worker id. */
  pids(): Readonly<Record<string, number>>
  /** Resolves once every worker that the operator wants has become healthy. Rejects with the signal's reason. */
  allHealthy(signal: AbortSignal): Promise<void>
}

/** Requests of one worker at the same time; a Tor takes more, but not well. */
export const MAX_LEASES = 128

/** Nothing runs before `start`. What the watch over a worker finds out decides who gets requests, and what becomes of those under way. */
export function createWorkers(config: ServiceConfig, options: ServiceWorkersOptions): ServiceWorkers {
  const { clock, random, store, told } = options
  let { health } = config
  const desired = new Map(store.desiredStates())
  const governor = new PoolGovernor({
    clock,
    policy: governorPolicyOf(config),
    onEvent(event) {
      told.ofPoolHealth(event)
      options.onPoolHealth?.(event)
    },
  })
  const outcomes = new OutcomeLedger(clock)
  const units = config.workers.map((worker, index) => unitOf(worker.id, index + 1, options.createDriver(worker)))
  const pool = new Pool(units, {
    ...{ clock, random, desired },
    mode: store.mode() ?? config.mode,
    maxLeases: MAX_LEASES,
    onRoom: (worker) => options.onRoom(worker),
  })
  pool.onEvent((event) => told.ofPool(event, pool.entries().some(receivesTraffic)))

  function unitOf(id: string, n: number, driver: WorkerDriver): WorkerUnit {
    return new WorkerUnit({
      ...{ clock, random, driver, policy: healthPolicyOf({ health }) },
      name: { id, n },
      desired: desired.get(id) ?? 'enabled',
      ward: governor.ward(id),
      outcomes: outcomes.page(id),
      shared: options.share?.watch(id, reachOf(driver.kind)),
      probe: (signal) => options.probe(id, signal),
      onEvent(event) {
        told.ofWorker(id, event)
        if (isMonitorEvent(event)) steer(id, event)
        // Also of one that is dead already: its Tor may have been on its way back.
        if (event.type === 'lost') options.traffic().abandonWorker(id, event.reason)
      },
    })
  }

  async function drained(id: string, limitMs: number, signal: AbortSignal): Promise<void> {
    using limit = deadline(clock, limitMs, signal, () => new Error('its requests take too long'))
    await pool.drained(id, limit.signal).catch(() => {})
  }

  function steer(id: string, event: MonitorEvent): void {
    switch (event.type) {
      case 'health-changed':
        pool.setHealth(id, event.to, { slowStart: event.from === 'dead' || event.from === 'recovery' })
        if (event.to === 'dead') options.traffic().abandonWorker(id, event.reason)
        return
      case 'doubted-elsewhere':
        pool.setDoubt(id, true) // until the probe that follows at once has passed
        return
      case 'pulse-failed':
        doubt(id, event.reason)
        return
      case 'probe-ended':
        if (event.verdict === 'failed') {
          doubt(id, event.reason)
          return
        }
        pool.setDoubt(id, false)
        if (event.verdict === 'passed') options.traffic().trustAgain(id)
        return
    }
  }

  function doubt(id: string, reason: string): void {
    pool.setDoubt(id, true)
    // Elsewhere it would be no better.
    if (governor.uplinkSuspectSince !== undefined) return
    options.traffic().abandonStalled(id, reason)
  }

  return {
    pool,
    unit: (id) => pool.get(id).member,
    start() {
      for (const worker of units) worker.start()
    },
    add(id, driver, n = pool.freeNumber) {
      // What was asked of a worker of this name holds, as after a restart.
      for (const [name, wish] of store.desiredStates()) desired.set(name, wish)
      const unit = unitOf(id, n, driver)
      pool.add(unit, desired.get(id))
      unit.start()
    },
    async remove(id, limitMs, signal) {
      const { member } = pool.get(id)
      pool.retire(id)
      member.retire()
      await drained(id, limitMs, signal)
      options.traffic().abandonWorker(id, 'it is none of the configuration any more')
      try {
        await member[Symbol.asyncDispose]()
      } finally {
        pool.remove(id)
        governor.forget(id)
        options.share?.forget(id)
        outcomes.page(id).forget()
        options.onRemoved(id)
        told.forgetWorker(id)
      }
    },
    reconfigure(next) {
      health = next.health
      governor.reconfigure(governorPolicyOf(next))
      for (const { member } of pool.entries()) member.reconfigure(healthPolicyOf(next))
    },
    pids: () =>
      Object.fromEntries(
        pool.entries().flatMap(({ member: worker }) => {
          const pid = worker.pid()
          return pid === undefined ? [] : [[worker.name.id, pid]]
        }),
      ),
    allHealthy: (signal) => allHealthy(pool, signal),
    async [Symbol.asyncDispose]() {
      await using ends = new AsyncDisposableStack()
      for (const { member } of pool.entries()) ends.use(member)
    },
  }
}

function isMonitorEvent(event: Parameters<ServiceEvents['ofWorker']>[1]): event is MonitorEvent {
  return !['progressed', 'lost', 'storm-stopped', 'isolation-missing', 'untrusted', 'trusted', 'ailing'].includes(
    event.type,
  )
}

function allHealthy(pool: Pool<WorkerUnit>, signal: AbortSignal): Promise<void> {
  const { promise, resolve, reject } = Promise.withResolvers<void>()
  const look = () => {
    if (pool.entries().every(({ desired, health }) => desired !== 'enabled' || health === 'healthy')) resolve()
  }
  const listening = pool.onEvent(look)
  const aborting = onAbort(signal, reject)
  look()
  return promise.finally(() => {
    listening[Symbol.dispose]()
    aborting[Symbol.dispose]()
  })
}

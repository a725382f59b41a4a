import { onAbort } from './lib/abort.ts'
import type { Clock } from './lib/clock.ts'
import { faultFields } from './lib/fault-fields.ts'
import type { Logger } from './lib/log.ts'
import type { PoolEntry } from './pool/pool.ts'
import { receivesTraffic } from './service-backend.ts'
import type { ServiceWorkers } from './service-workers.ts'
import type { WorkerDriver } from './workers/driver.ts'

interface Coming {
  readonly id: string
  /** Made, and not started. */
  readonly driver: WorkerDriver
}

/** How the pool is to change. */
export interface WorkerPlan {
  readonly come: readonly Coming[]
  /** Ids. */
  readonly leave: readonly string[]
  /** Removed and added by the same id and number. */
  readonly renew: readonly Coming[]
}

export interface TransitionParts {
  readonly workers: Pick<ServiceWorkers, 'pool' | 'add' | 'remove'>
  readonly clock: Clock
  readonly logger: Logger
  /** Aborts when the service ends: then nothing is waited for. */
  readonly life: AbortSignal
}

/** How long the requests of a worker that goes may go on. */
const DRAIN_MS = 30_000
/** How long those that take over may take to be there: a bootstrap of Tor, and some. */
const TAKEN_OVER_WITHIN_MS = 120_000

/**
 * Brings workers in and takes others out so that there is always one for the next request, if that can be had: those that come are
 * started first, those that go leave when others take requests, and those that are made anew go one after the other. Never rejects.
 */
export async function changeWorkers(plan: WorkerPlan, parts: TransitionParts): Promise<void> {
  const { workers, logger, life } = parts
  const tell = (error: unknown) => logger.error({ ...faultFields(error) }, 'a worker could not be removed')
  if (life.aborted) {
    for (const { driver } of [...plan.come, ...plan.renew]) await driver[Symbol.asyncDispose]()
    return
  }
  for (const { id, driver } of plan.come) workers.add(id, driver)

  const leaving = new Set(plan.leave)
  const leave = async () => {
    await takenOver(leaving, parts)
    await Promise.all(plan.leave.map((id) => workers.remove(id, DRAIN_MS, life).catch(tell)))
  }
  const renew = async () => {
    for (const { id, driver } of plan.renew) {
      await takenOver(new Set([id]), parts)
      const { n } = workers.pool.get(id).name
      await workers.remove(id, DRAIN_MS, life).catch(tell)
      if (life.aborted) {
        await driver[Symbol.asyncDispose]()
        continue
      }
      workers.add(id, driver, n)
      await until(({ name, health }) => name.id === id && health === 'healthy', parts)
    }
  }
  const staying = workers.pool.entries().filter(({ name, desired }) => !leaving.has(name.id) && desired === 'enabled')
  // One that stays alone is not made anew while there is nobody else.
  const inOrder = staying.length > 1 ? [leave, renew] : [renew, leave]
  for (const change of inOrder) await change()
}

/** Resolves once others than these take requests; at once if these take none either, or if there are no others. */
async function takenOver(leaving: ReadonlySet<string>, parts: TransitionParts): Promise<void> {
  const entries = parts.workers.pool.entries()
  const isOther = ({ name }: Pick<PoolEntry<unknown>, 'name'>) => !leaving.has(name.id)
  const areMissed = entries.some((entry) => !isOther(entry) && receivesTraffic(entry))
  if (!areMissed || !entries.some((entry) => isOther(entry) && entry.desired === 'enabled')) return
  await until((entry) => isOther(entry) && receivesTraffic(entry), parts)
}

/** Resolves once one of the pool is so, when it has taken too long, or when the service ends. */
async function until(
  isSo: (entry: PoolEntry<unknown>) => boolean,
  { workers: { pool }, clock, life }: TransitionParts,
): Promise<void> {
  const { promise, resolve } = Promise.withResolvers<void>()
  const look = () => {
    if (pool.entries().some(isSo)) resolve()
  }
  using _change = pool.onEvent(look)
  using _late = clock.timer(TAKEN_OVER_WITHIN_MS, () => resolve())
  using _end = onAbort(life, () => resolve())
  look()
  await promise
}

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
  /** Aborts when there is a newer configuration: then nothing more is waited for, and nobody else leaves or is made anew. */
  readonly superseded: AbortSignal
}

/** How long the requests of a worker that goes may go on. */
const DRAIN_MS = 30_000
/** How long those that take over may take to be there: a bootstrap of Tor, and some. */
const TAKEN_OVER_WITHIN_MS = 120_000

/**
 * Brings workers in and takes others out so that there is always one for the next request, if that can be had: those that come are
 * started first, those that go leave when others take requests, and those that are made anew go one after the other, until one that
 * was well does not come up again: what is wrong with it may be wrong with all. Resolves with the ids of those that are as they were.
 * Never rejects.
 */
export async function changeWorkers(plan: WorkerPlan, parts: TransitionParts): Promise<readonly string[]> {
  const { workers, logger, life, superseded } = parts
  const asTheyWere: string[] = []
  const tell = (error: unknown) => logger.error({ ...faultFields(error) }, 'a worker could not be removed')
  if (life.aborted) {
    for (const { driver } of [...plan.come, ...plan.renew]) await driver[Symbol.asyncDispose]()
    return []
  }
  /** False for one whose name or number somebody has, such as another gateway's worker. */
  const take = ({ id, driver }: Coming, n?: number): boolean => {
    try {
      workers.add(id, driver, n)
      return true
    } catch (error) {
      logger.error({ worker: id, ...faultFields(error) }, 'a worker could not be taken in')
      void driver[Symbol.asyncDispose]().catch(tell)
      return false
    }
  }
  for (const coming of plan.come) if (!take(coming)) asTheyWere.push(coming.id)

  const leaving = new Set(plan.leave)
  const leave = async () => {
    await takenOver(leaving, parts)
    if (superseded.aborted) {
      asTheyWere.push(...plan.leave)
      return
    }
    await Promise.all(plan.leave.map((id) => workers.remove(id, DRAIN_MS, life).catch(tell)))
  }
  const renew = async () => {
    let failed: string | undefined
    for (const { id, driver } of plan.renew) {
      if (failed === undefined) await takenOver(new Set([id]), parts)
      if (failed !== undefined || superseded.aborted) {
        asTheyWere.push(id)
        await driver[Symbol.asyncDispose]()
        continue
      }
      const { name, ...entry } = workers.pool.get(id)
      await workers.remove(id, DRAIN_MS, life).catch(tell)
      if (life.aborted) {
        await driver[Symbol.asyncDispose]()
        continue
      }
      if (!take({ id, driver }, name.n)) continue
      // Of one that took no requests before nothing can be learnt.
      if (!receivesTraffic(entry)) continue
      const isWell = await until((each) => each.name.id === id && each.health === 'healthy', parts)
      if (!isWell && !superseded.aborted) failed = id
    }
    if (failed !== undefined && asTheyWere.length > 0) {
      const text = 'a worker does not come up with its new configuration, so the others keep theirs'
      logger.error({ worker: failed, others: asTheyWere }, text)
    }
  }
  const staying = workers.pool.entries().filter(({ name, desired }) => !leaving.has(name.id) && desired === 'enabled')
  // One that stays alone is not made anew while there is nobody else.
  const inOrder = staying.length > 1 ? [leave, renew] : [renew, leave]
  for (const change of inOrder) await change()
  return asTheyWere
}

/** Resolves once others than these take requests; at once if these take none either, or if there are no others. */
async function takenOver(leaving: ReadonlySet<string>, parts: TransitionParts): Promise<void> {
  const entries = parts.workers.pool.entries()
  const isOther = ({ name }: Pick<PoolEntry<unknown>, 'name'>) => !leaving.has(name.id)
  const areMissed = entries.some((entry) => !isOther(entry) && receivesTraffic(entry))
  if (!areMissed || !entries.some((entry) => isOther(entry) && entry.desired === 'enabled')) return
  await until((entry) => isOther(entry) && receivesTraffic(entry), parts)
}

/** Resolves with true once one of the pool is so, and with false when it has taken too long or is not waited for any more. */
async function until(
  isSo: (entry: PoolEntry<unknown>) => boolean,
  { workers: { pool }, clock, life, superseded }: TransitionParts,
): Promise<boolean> {
  const { promise, resolve } = Promise.withResolvers<boolean>()
  const look = () => {
    if (pool.entries().some(isSo)) resolve(true)
  }
  using _change = pool.onEvent(look)
  using _late = clock.timer(TAKEN_OVER_WITHIN_MS, () => resolve(false))
  using _end = onAbort(AbortSignal.any([life, superseded]), () => resolve(false))
  look()
  return await promise
}

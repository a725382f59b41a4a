import type { KeyRing } from './auth/key-ring.ts'
import type { Fetcher } from './fetch/fetcher.ts'
import type { Clock } from './lib/clock.ts'
import { faultFields } from './lib/fault-fields.ts'
import type { Logger } from './lib/log.ts'
import type { Pool } from './pool/pool.ts'
import type { Store, StoreChange } from './store/store.ts'
import type { WorkerUnit } from './worker-unit.ts'

export interface FollowParts {
  readonly store: Pick<Store, 'mode' | 'desiredStates' | 'onChanged'>
  readonly pool: Pool<WorkerUnit>
  readonly keys: KeyRing
  readonly fetcher: Pick<Fetcher, 'abandonWorker'>
  readonly clock: Clock
  readonly logger: Logger
  /** Aborts when the service ends. */
  readonly life: AbortSignal
}

/** What was asked for at another gateway holds here, too. Dispose it to follow no more. */
export function followStore(parts: FollowParts): Disposable {
  const { store, pool, keys, fetcher, clock, logger, life } = parts
  let following: Disposable | undefined

  function changed(change: StoreChange): void {
    switch (change.what) {
      case 'mode': {
        const mode = store.mode()
        if (mode !== undefined) pool.setMode(mode)
        return
      }
      case 'desired':
        follow(change.worker)
        return
      case 'key':
        // Many at a time, such as of keys that were used: one look at all of them does.
        following ??= clock.timer(0, () => {
          following = undefined
          attempt(() => keys.follow())
        })
        return
      case 'session':
        return // those who share sessions hear of it themselves
    }
  }

  function follow(worker: string): void {
    const desired = store.desiredStates().get(worker) ?? 'enabled'
    if (!pool.has(worker) || pool.get(worker).desired === desired) return
    const { member } = pool.get(worker)
    pool.setDesired(worker, desired)
    if (desired === 'stopped') fetcher.abandonWorker(worker, 'the operator stopped it')
    member.follow(desired, life).catch(() => {}) // what became of it is the worker's to show
  }

  function attempt(work: () => void): void {
    try {
      work()
    } catch (error) {
      logger.error({ ...faultFields(error) }, 'what another gateway changed could not be followed')
    }
  }

  const listening = store.onChanged((change) => attempt(() => changed(change)))
  // What was changed since it was read, as this gateway was starting, nobody tells of again.
  attempt(() => changed({ what: 'mode' }))
  for (const { name } of pool.entries()) attempt(() => follow(name.id))
  attempt(() => keys.follow())
  return {
    [Symbol.dispose]() {
      listening[Symbol.dispose]()
      following?.[Symbol.dispose]()
    },
  }
}

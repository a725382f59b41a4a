/** A gateway among others: what it tells them, and what it does about what they tell. */
import type { KeyRing } from './auth/key-ring.ts'
import { shareLoad } from './cluster/load-share.ts'
import type { Fetcher } from './fetch/fetcher.ts'
import type { Clock } from './lib/clock.ts'
import { isoTime } from './lib/iso-time.ts'
import type { Logger } from './lib/log.ts'
import type { Admission } from './limits/admission.ts'
import type { Pool } from './pool/pool.ts'
import type { Cluster } from './service-cluster.ts'
import type { ServiceEvents } from './service-events.ts'
import { followStore } from './service-follow.ts'
import type { WorkerUnit } from './worker-unit.ts'

export interface JoinParts {
  readonly clock: Clock
  readonly logger: Logger
  readonly cluster: Cluster
  readonly told: ServiceEvents
  readonly pool: Pool<WorkerUnit>
  readonly keys: KeyRing
  readonly fetcher: Fetcher
  readonly admission: Admission
  /** Aborts when the service ends. */
  readonly life: AbortSignal
}

export interface Joined extends Disposable {
  /** Whether the workers fail together, so that the uplink of this gateway is thought to be the cause. */
  uplinkIs(isThere: boolean): void
}

/** Dispose it to tell and hear no more. A gateway that is alone has nobody to tell anything. */
export function joinCluster(parts: JoinParts): Joined {
  const { cluster, told, pool, admission } = parts
  const joined = new DisposableStack()
  const { shared, store } = cluster
  if (shared === undefined) return { uplinkIs() {}, [Symbol.dispose]() {} }
  const { link, presence, leases, events } = shared
  joined.use(followStore({ ...parts, store }))

  const tellOfStore = () => {
    const { refusal } = leases
    if (link.isUp && refusal === undefined) return told.problems.close('store_unreachable')
    if (link.isUp) {
      const text = `The shared store answers, and takes no writes: requests go on, changes are kept until it does, shared workers are not healed, jobs wait: ${refusal}`
      return told.problems.open('store_unreachable', { severity: 'error', text })
    }
    const since = isoTime(link.downSince ?? parts.clock.now())
    const text = `The shared store has not answered since ${since}: requests go on, changes are kept until it is back, shared workers are not healed, jobs wait`
    told.problems.open('store_unreachable', { severity: 'error', text })
  }
  tellOfStore()
  joined.use(link.onChange(tellOfStore))
  joined.use(leases.onRefusal(tellOfStore))

  // With each beat: nobody tells of it.
  const tellOfNamesake = () => {
    if (!presence.hasNamesake) return told.problems.close('replica_name_taken')
    const { replica } = presence.self
    const text = `Another gateway of the pool is called ${replica}, too, so that names of workers may mean two of them: give one of the two another cluster.replica`
    told.problems.open('replica_name_taken', { severity: 'error', text })
  }
  joined.use(
    presence.report('name', () => {
      tellOfNamesake()
      return undefined
    }),
  )

  let known = new Map(presence.members().map(({ run, replica }) => [run, replica]))
  const tellOfMembers = () => {
    const members = presence.members()
    for (const { run, replica, version } of members)
      if (!known.has(run)) told.events.record({ type: 'replica_joined', replica, version })
    const living = new Map(members.map(({ run, replica }) => [run, replica]))
    for (const [run, replica] of known) {
      if (!living.has(run)) told.events.record({ type: 'replica_left', replica })
    }
    known = living
  }
  joined.use(presence.onChange(tellOfMembers))

  joined.use(told.events.onAdded((event) => events.add(event)))
  joined.use(events.onEvent((replica, event) => told.events.hear(replica, event)))
  joined.use(shareLoad({ presence, pool, limits: admission }))

  let isUplinkThere = true
  // Who sees most of the pool fail together heals nobody: others are to have what is shared.
  const shareOut = () => leases.setWorkers(isUplinkThere ? sharedIds(pool) : [])
  joined.use(pool.onEvent(({ type }) => (type === 'joined' || type === 'left') && shareOut()))
  shareOut()
  return {
    uplinkIs(isThere) {
      isUplinkThere = isThere
      shareOut()
    },
    [Symbol.dispose]: () => joined.dispose(),
  }
}

function sharedIds(pool: Pool<WorkerUnit>): readonly string[] {
  return pool.entries().flatMap(({ name, member }) => (member.reach === 'shared' ? [name.id] : []))
}

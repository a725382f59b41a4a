/** Local workers that gateways of one pool use of each other: those that are offered, and those that are had. */
import { PeerRoster } from './cluster/peer-roster.ts'
import { WorkerAnnouncements } from './cluster/worker-announcements.ts'
import { workerPortKey } from './cluster/worker-port/secured.ts'
import { ConfigError, type ServiceConfig } from './config/read-config.ts'
import type { Clock } from './lib/clock.ts'
import { faultFields } from './lib/fault-fields.ts'
import type { Logger } from './lib/log.ts'
import type { Random } from './lib/random.ts'
import type { Shared } from './service-cluster.ts'
import type { ServiceWorkers } from './service-workers.ts'
import type { OfferedWorker, WorkerOrders } from './workers/peer/offered-worker.ts'
import { PeerDriver } from './workers/peer/peer-driver.ts'
import { WorkerPort } from './workers/peer/worker-port.ts'

export interface PeersParts {
  readonly clock: Clock
  readonly random: Random
  readonly logger: Logger
  readonly shared: Shared
  readonly workers: ServiceWorkers
  /** What operators ask for at other gateways of workers that are ours. */
  readonly orders: WorkerOrders
  /** Aborts when the service ends. */
  readonly life: AbortSignal
}

/** How long requests through a worker may go on whose gateway is gone. */
const DRAIN_MS = 5_000

/** Rejects with a `ConfigError` when the worker port cannot be opened. Dispose it before the workers. */
export async function openPeers(config: ServiceConfig, parts: PeersParts): Promise<AsyncDisposable> {
  await using opened = new AsyncDisposableStack()
  const { clock, random, logger, shared, workers, life } = parts
  const offer = await openWorkerPort(config, parts, opened)
  const announcements = opened.use(
    new WorkerAnnouncements({
      ...{ clock, presence: shared.presence, own: offer },
      onError: (error) => logger.error({ ...faultFields(error) }, 'what gateways offer could not be followed'),
    }),
  )
  const key = workerPortKey(shared.secret)
  const roster = opened.use(
    new PeerRoster({
      ...{ self: config.cluster.replica, announcements, own: () => ownIds(workers) },
      take: ({ id, replica }) =>
        workers.add(
          id,
          new PeerDriver({
            ...{ id, replica, key, clock, random, self: config.cluster.replica },
            at: () => announcements.at(replica),
            logger: logger.child({ worker: id }),
          }),
        ),
      letGo: ({ id }) => workers.remove(id, DRAIN_MS, life),
      onRefused: (refused) =>
        logger.warn({ refused }, 'workers of other gateways are not used: their names are not theirs alone'),
      onError: (error, { id, replica }) =>
        logger.error({ worker: id, replica, ...faultFields(error) }, 'a worker of another gateway could not be had'),
    }),
  )
  opened.use(workers.pool.onEvent(({ type }) => (type === 'joined' || type === 'left') && roster.look()))
  return opened.move()
}

/** What is offered, undefined where nothing is. */
async function openWorkerPort(
  config: ServiceConfig,
  { clock, logger, shared, workers, orders }: PeersParts,
  opened: AsyncDisposableStack,
) {
  const { replica, worker_port: wanted, advertise } = config.cluster
  if (wanted === 'off') return () => undefined
  const port = opened.use(new WorkerPort({ replica, secret: shared.secret, clock, logger, orders }))
  const at = await port.listen(wanted).catch((error: unknown) => {
    const why = error instanceof Error ? error.message : String(error)
    throw new ConfigError([`cluster.worker_port: ${why}; free it, set another one, or "off"`])
  })
  const offered = new Map<string, Disposable>()
  const look = () => {
    const own = new Map(
      workers.pool
        .entries()
        .flatMap(({ name, member }) => (member.offered ? [[name.id, member.offered] as const] : [])),
    )
    for (const [id, offer] of offered) {
      if (own.has(id)) continue
      offer[Symbol.dispose]()
      offered.delete(id)
    }
    for (const [id, worker] of own) if (!offered.has(id)) offered.set(id, port.offer(worker satisfies OfferedWorker))
  }
  opened.use(workers.pool.onEvent(({ type }) => (type === 'joined' || type === 'left') && look()))
  look()
  return () => ({ at: advertise ?? at, workers: port.offered })
}

/** Those that are no other gateway's. */
function ownIds({ pool }: ServiceWorkers): readonly string[] {
  return pool.entries().flatMap(({ name, member }) => (member.reach === 'peer' ? [] : [name.id]))
}

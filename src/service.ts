import { constants, readFileSync } from 'node:fs'
import { access, mkdir } from 'node:fs/promises'
import { join } from 'node:path'
import type { Backend } from './api/backend.ts'
import { createApiServer } from './api/server.ts'
import { adminKeyFile, createAdminKey } from './auth/admin-key.ts'
import { KeyRing } from './auth/key-ring.ts'
import type { ServiceConfig } from './config/read-config.ts'
import { Identities } from './domain/identity.ts'
import { RequestLog } from './events/request-log.ts'
import { Fetcher } from './fetch/fetcher.ts'
import { createTargetPolicy } from './fetch/target-policy.ts'
import type { JobStore } from './jobs/job-store.ts'
import { type Clock, systemClock } from './lib/clock.ts'
import { createLogger, type Logger } from './lib/log.ts'
import { type Random, systemRandom } from './lib/random.ts'
import { createBackend, receivesTraffic } from './service-backend.ts'
import { openListenerTls } from './service-certificate.ts'
import { ServiceEvents } from './service-events.ts'
import { createJobs, openJobStore } from './service-jobs.ts'
import { leaseOf } from './service-lease.ts'
import { ServiceLive } from './service-live.ts'
import { createOrder, type ServiceOrder } from './service-order.ts'
import { checkEndpointsOf, circuitSupplyOf } from './service-policy.ts'
import { openProxyPorts } from './service-proxy.ts'
import { openTunnels } from './service-tunnels.ts'
import { createWorkers, MAX_LEASES, type ServiceWorkers } from './service-workers.ts'
import { SqliteStore } from './store/sqlite-store.ts'
import type { Store } from './store/store.ts'
import { keepRotating, keepWarm } from './upkeep.ts'
import { WorkerChecks } from './worker-checks.ts'
import { createDriver } from './worker-drivers.ts'
import type { WorkerDriver } from './workers/driver.ts'

/** What a test puts in the place of the real thing. */
export interface ServiceOverrides {
  readonly clock?: Clock
  readonly random?: Random
  readonly logger?: Logger
  readonly store?: Store
  readonly jobStore?: JobStore
  readonly createDriver?: (id: string) => WorkerDriver
}

/**
 * Everything that runs, from the API down to the workers. Disposing it takes nothing new, lets what is under way go on for as long as
 * `shutdown_timeout` says, and ends all of it, in the reverse order.
 */
export interface Service extends AsyncDisposable {
  /** Of the API, without a slash at its end. */
  readonly url: string
  /** Where programs that speak to proxies find it: `http://127.0.0.1:8118`, `socks5h://127.0.0.1:1080`; undefined where it is off. */
  readonly proxy: { readonly http: string | undefined; readonly socks: string | undefined }
  readonly backend: Backend
  /** The key that may everything, if it was made at this start: shown once, and to the operator alone. */
  readonly adminKey: string | undefined
  /** Process ids of the local workers that run, by worker id. */
  pids(): Readonly<Record<string, number>>
  /** Resolves once every worker that the operator wants has become healthy. Rejects with the signal's reason. */
  ready(signal: AbortSignal): Promise<void>
}

/** The part of `shutdown_timeout` after which what is under way is given up; the rest is for the answers that say so. */
const GIVEN_UP_AFTER = 0.8

/** Builds every part once, in order, and resolves when the API listens; workers may still be starting. */
export async function createService(
  config: ServiceConfig,
  overrides: ServiceOverrides,
  signal: AbortSignal,
): Promise<Service> {
  await using parts = new AsyncDisposableStack()
  const clock = overrides.clock ?? systemClock
  const random = overrides.random ?? systemRandom
  const logger = overrides.logger ?? createLogger(config.log, process.stderr, config.log_format)

  await prepareState(config.state)
  const store = parts.use(overrides.store ?? new SqliteStore(join(config.state, 'cbtor.db')))
  const jobStore = parts.use(overrides.jobStore ?? openJobStore(config))
  const identities = new Identities(
    store.poolSecret(() => random.bytes(32)),
    () => random.bytes(32),
  )

  const told = parts.use(
    new ServiceEvents({
      ...{ clock, logger },
      workers: () =>
        pool.entries().map((entry) => ({ ...entry, worker: entry.name.id, receivesTraffic: receivesTraffic(entry) })),
      jobs: () => jobs.counts(),
    }),
  )

  const live = parts.use(new ServiceLive(clock, told.events))

  // A certificate that cannot be used shows before a key is made, which is told only once.
  const tls = parts.use(await openListenerTls(config, { problems: told.problems, clock, logger }))
  const keys = parts.use(new KeyRing({ store, clock, random, keep: (write) => told.keep(write) }))
  const asksForKeys = config.auth === 'on' || config.proxy.auth === 'on'
  const adminKey = asksForKeys && !keys.hasAdmin ? createAdminKey(keys, adminKeyFile(config.state)) : undefined

  const hasBoxes = config.workers.some(({ kind }) => kind === 'openwrt') && overrides.createDriver === undefined
  const tunnels = hasBoxes ? parts.use(await openTunnels(config, { clock, logger }, signal)) : undefined

  const circuits = circuitSupplyOf(config, clock)
  const workers: ServiceWorkers = parts.use(
    createWorkers(config, {
      ...{ clock, random, store, told },
      createDriver: (worker) =>
        overrides.createDriver?.(worker.id) ??
        createDriver(config, worker, { clock, random, logger, tunnels, circuits }),
      probe: (id, probeSignal) => checks.probe(id, probeSignal),
      traffic: () => fetcher,
      onRoom: (worker) => order.onRoom(worker),
    }),
  )
  const { pool, unit } = workers

  const { metrics } = told
  const order: ServiceOrder = parts.use(
    createOrder(config, {
      ...{ clock, metrics, places: MAX_LEASES * config.workers.length },
      usage: {
        usageOn: (day) => store.usageOn(day),
        setUsage: (day, bytes) => told.keep(() => store.setUsage(day, bytes)),
      },
    }),
  )
  const { admission } = order

  // Fetching, for callers and for checks
  const fetching = {
    ...{ clock, identities },
    extraCa: config.targets.ca_file === undefined ? [] : [readFileSync(config.targets.ca_file, 'utf8')],
    policy: createTargetPolicy({
      allowReserved: config.targets.allow_reserved,
      allowPorts: config.targets.allow_ports,
    }),
  }
  const checks: WorkerChecks = parts.use(
    new WorkerChecks({
      ...fetching,
      endpoints: checkEndpointsOf(config),
      limitMs: config.health.check_timeout,
      unit,
      isWell: (id) => pool.get(id).health === 'healthy',
    }),
  )
  const fetcher = parts.use(
    new Fetcher({
      ...fetching,
      // The checks are ours and go where they are configured to, whatever callers may reach.
      policy: fetching.policy.narrowedBy(config.targets),
      random,
      order: order.order,
      source: {
        acquire: (selection, tried, busy) =>
          leaseOf(pool.acquire(selection, tried, busy), (owner, socket, worker) => {
            admission.watch(owner, socket)
            live.opened(worker, socket)
          }),
        forget: (id, identity) => unit(id).forget(identity),
      },
      onSessionMoved: (worker) => told.events.record({ type: 'session_moved', worker }),
    }),
  )
  const requests = new RequestLog({
    ...{ clock, random, logger, targets: config.log_targets },
    watches: [live.requests],
  })
  // A port that is taken shows before anything is started.
  const proxy = parts.use(
    await openProxyPorts(
      { ...config.proxy, drainMs: config.shutdown_timeout * GIVEN_UP_AFTER },
      { fetcher, pool, keys, metrics, requests, admission, clock, random, logger },
      tls,
    ),
  )

  const life = new AbortController()
  const healthyWorkers = () => pool.entries().flatMap(({ name, health }) => (health === 'healthy' ? [name.id] : []))
  const onionChecks = checks.checkOnions(healthyWorkers, life.signal)

  const version = VERSION
  const jobs = createJobs(config, {
    ...{ clock, random, logger, store: jobStore, keys },
    policy: fetching.policy.narrowedBy(config.targets),
    fetch: (request, fetchSignal) => backend.fetch({ ...request, via: 'job' }, fetchSignal),
  })
  const backend = createBackend({
    ...{ version, clock, store, pool, fetcher, checks, told, requests, admission, jobs, live },
    waiting: () => order.waiting,
    life: life.signal,
  })
  const { warm_up_interval: warmEveryMs, rotation_interval: rotateEveryMs } = config.health
  const upkeep = [
    onionChecks,
    keepWarm(pool, warmEveryMs, clock, life.signal),
    ...(rotateEveryMs === undefined
      ? []
      : [keepRotating(pool, rotateEveryMs, (id) => backend.newCircuits(id), clock, life.signal)]),
  ]
  parts.defer(async () => {
    life.abort()
    await Promise.all(upkeep)
  })
  workers.start()
  const server = parts.use(
    await createApiServer({
      ...{ backend, keys, logger, clock, random },
      auth: config.auth,
      allowedHosts: config.hosts,
      mayBeExposed: config.auth === 'on' && config.tls !== undefined,
      tls: tls.of(config.listen),
      closeWithinMs: config.shutdown_timeout,
    }),
  )
  // Ended before the API, which may still tell of them.
  parts.use(jobs).start()
  const { url } = await server.listen(config.listen)
  told.events.record({ type: 'service_started', version })
  signal.throwIfAborted()

  const owned = parts.move()
  return {
    ...{ url, adminKey },
    proxy: { http: proxy.http, socks: proxy.socks },
    backend,
    pids: () => workers.pids(),
    ready: (readySignal) => workers.allHealthy(readySignal),
    async [Symbol.asyncDispose]() {
      told.events.record({ type: 'service_stopping', reason: 'it was asked to' })
      await using _ = owned
      // What is left is ended, jobs, fetches and tunnels alike, in time to tell those who wait.
      using _giveUp = clock.timer(config.shutdown_timeout * GIVEN_UP_AFTER, () => fetcher[Symbol.dispose]())
      // At once: no door stays open while another is being closed.
      await Promise.all([jobs, server, proxy].map((each) => each[Symbol.asyncDispose]()))
    },
  }
}

const PACKAGE = new URL('../package.json', import.meta.url)
const VERSION = (JSON.parse(readFileSync(PACKAGE, 'utf8')) as { version: string }).version

async function prepareState(directory: string): Promise<void> {
  try {
    await mkdir(directory, { recursive: true, mode: 0o700 })
    await access(directory, constants.W_OK)
  } catch (cause) {
    const reason = cause instanceof Error ? cause.message : String(cause)
    throw new Error(`Cannot use the state directory ${directory}: ${reason}`, { cause })
  }
}

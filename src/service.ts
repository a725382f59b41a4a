import { constants, readFileSync } from 'node:fs'
import { access, mkdir } from 'node:fs/promises'
import type { Backend } from './api/backend.ts'
import { createApiServer } from './api/server.ts'
import { adminKeyFile, createAdminKey } from './auth/admin-key.ts'
import { KeyRing } from './auth/key-ring.ts'
import { namedInPool } from './config/named-in-pool.ts'
import type { ServiceConfig } from './config/read-config.ts'
import { CbtorError } from './domain/errors.ts'
import type { FetchRequest } from './domain/exchange.ts'
import { Identities } from './domain/identity.ts'
import type { Reloaded } from './domain/reload.ts'
import { RequestLog } from './events/request-log.ts'
import { Fetcher } from './fetch/fetcher.ts'
import { Sessions } from './fetch/sessions.ts'
import { liveTargetPolicy } from './fetch/target-policy.ts'
import type { JobStore } from './jobs/job-store.ts'
import { type Clock, systemClock } from './lib/clock.ts'
import { createLogger, type Logger } from './lib/log.ts'
import { type Random, systemRandom } from './lib/random.ts'
import { applyConfig } from './service-apply.ts'
import { createBackend } from './service-backend.ts'
import { openListenerTls } from './service-certificate.ts'
import { CheckShare } from './service-checks.ts'
import { clusterGauges, openCluster, type StoreWait } from './service-cluster.ts'
import { keepDirectories } from './service-directories.ts'
import { ServiceEvents } from './service-events.ts'
import { createJobs, openJobStore, type ServiceJobs } from './service-jobs.ts'
import { joinCluster } from './service-join.ts'
import { leaseOf } from './service-lease.ts'
import { gaugesOf, ServiceLive } from './service-live.ts'
import { createOrder, type ServiceOrder } from './service-order.ts'
import { openPeers } from './service-peers.ts'
import { checkEndpointsOf, targetPolicyOf, upkeepPolicyOf } from './service-policy.ts'
import { openProxyPorts } from './service-proxy.ts'
import { Reload, throwProblem } from './service-reload.ts'
import { StoredSessions, workersToCome } from './service-sessions.ts'
import { openTraces } from './service-traces.ts'
import { changeWorkers } from './service-transition.ts'
import { createWorkers, MAX_LEASES, type ServiceWorkers } from './service-workers.ts'
import type { Store } from './store/store.ts'
import { Upkeep } from './upkeep.ts'
import { WorkerChecks } from './worker-checks.ts'
import { WorkerDrivers } from './worker-drivers.ts'
import type { WorkerDriver } from './workers/driver.ts'

/** What a test puts in the place of the real thing. */
export interface ServiceOverrides {
  readonly clock?: Clock
  readonly random?: Random
  readonly logger?: Logger
  readonly store?: Store
  readonly jobStore?: JobStore
  readonly storeWait?: StoreWait
  readonly createDriver?: (id: string) => WorkerDriver
  /** Where the variables of OpenTelemetry are. */
  readonly env?: Readonly<Record<string, string | undefined>>
  /** Reads the configuration anew. Throws a `ConfigError`. When left out, there is nothing to be read. */
  readonly reread?: () => ServiceConfig
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
  /** Reads the configuration anew, and applies what can be applied. Rejects with a `ConfigError` of one that has faults. */
  reload(): Promise<Reloaded>
  /** Resolves once the workers of the latest reload have come and gone. */
  reloadSettled(): Promise<void>
  /** The key that may everything, if it was made at this start: shown once, and to the operator alone. */
  readonly adminKey: string | undefined
  /** Process ids of the local workers that run, by worker id. */
  pids(): Readonly<Record<string, number>>
  /** Resolves once every worker that the operator wants has become healthy. Rejects with the signal's reason. */
  ready(signal: AbortSignal): Promise<void>
}

/** As long as Tor may need to tell by which exit a stream leaves. */
const EXIT_KNOWN_WITHIN_MS = 5_000

/** The part of `shutdown_timeout` after which what is under way is given up; the rest is for the answers that say so. */
const GIVEN_UP_AFTER = 0.8

/** Builds every part once, in order, and resolves when the API listens; workers may still be starting. */
export async function createService(
  written: ServiceConfig,
  overrides: ServiceOverrides,
  signal: AbortSignal,
): Promise<Service> {
  await using parts = new AsyncDisposableStack()
  const config = namedInPool(written)
  const clock = overrides.clock ?? systemClock
  const random = overrides.random ?? systemRandom
  const root = createLogger(config.log, process.stderr, config.log_format)
  const logger = overrides.logger ?? root

  await prepareState(config.state)
  const cluster = parts.use(
    await openCluster(
      config,
      { clock, random, logger, version: VERSION, store: overrides.store, storeWait: overrides.storeWait },
      signal,
    ),
  )
  const { store } = cluster
  // From here on nobody else uses the state directory.
  keepDirectories(written)
  const jobStore = cluster.shared ?? parts.use(overrides.jobStore ?? openJobStore(config))
  const secret = store.poolSecret(() => random.bytes(32))
  const identities = new Identities(secret, () => random.bytes(32))

  const viewOfCluster = () => cluster.view(pool.entries().map(({ member }) => member))
  const told: ServiceEvents = parts.use(
    new ServiceEvents({
      ...{ clock, logger, version: VERSION },
      workers: () => pool.entries().map((entry) => gaugesOf(entry, live.throughput)),
      jobs: () => jobs.counts(),
      sessions: () => fetcher.sessions.size,
      mode: () => pool.mode,
      cluster: () => clusterGauges(viewOfCluster()),
    }),
  )

  const traces = parts.use(openTraces(overrides.env ?? process.env, { clock, random, logger, version: VERSION }))
  const live: ServiceLive = parts.use(new ServiceLive(clock, told.events))

  // A certificate that cannot be used shows before a key is made, which is told only once.
  const tls = parts.use(await openListenerTls(config, { problems: told.problems, clock, logger }))
  const keys = parts.use(new KeyRing({ store, clock, random, keep: (write) => told.keep(write) }))
  const asksForKeys = config.auth === 'on' || config.proxy.auth === 'on'
  const adminKey = asksForKeys && !keys.hasAdmin ? createAdminKey(keys, adminKeyFile(config.state)) : undefined

  const drivers = parts.use(new WorkerDrivers(config, { clock, random, logger }, overrides.createDriver))
  await drivers.prepare(config.workers, signal)
  const workers: ServiceWorkers = parts.use(
    createWorkers(config, {
      ...{ clock, random, store, told, share: cluster.shared?.health },
      onPoolHealth: ({ type }) => join.uplinkIs(type === 'uplink-cleared'),
      createDriver: (worker) => drivers.create(worker),
      probe: (id, probeSignal) => checks.probe(id, probeSignal),
      traffic: () => fetcher,
      onRoom: (worker) => order.onRoom(worker),
      onRemoved: (id) => checks.forget(id),
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
    policy: liveTargetPolicy(targetPolicyOf(config)),
  }
  // The checks are ours and go where they are configured to, whatever callers may reach.
  const ofCallers = liveTargetPolicy(fetching.policy.narrowedBy(config.targets))
  const checks: WorkerChecks = parts.use(
    new WorkerChecks({
      ...fetching,
      endpoints: checkEndpointsOf(config),
      limitMs: config.health.check_timeout,
      unit,
      isWell: (id) => pool.has(id) && pool.get(id).health === 'healthy',
    }),
  )
  const share = parts.use(
    new StoredSessions({
      ...{ store, identities, secret, clock, random, isShared: cluster.shared !== undefined },
      keep: (write) => told.keep(write),
    }),
  )
  const fetcher = parts.use(
    new Fetcher({
      ...fetching,
      policy: ofCallers,
      random,
      sessions: new Sessions({ clock, share }),
      order: order.order,
      source: {
        acquire: (selection, tried, busy) =>
          leaseOf(pool.acquire(selection, tried, busy), (owner, stream, worker) => {
            admission.watch(owner, stream.socket)
            live.throughput.watch(worker, stream.socket)
            void stream.exit(EXIT_KNOWN_WITHIN_MS).then((exit) => exit && metrics.requests.exitUsed(exit))
          }),
        mayCome: workersToCome(pool, clock, cluster.shared !== undefined),
        forget: (id, identity) => (pool.has(id) ? unit(id).forget(identity) : undefined),
      },
      onSessionMoved: (worker) => told.events.record({ type: 'session_moved', worker }),
    }),
  )
  const requests = new RequestLog({
    ...{ clock, random, logger, targets: config.log_targets },
    watches: [live.requests, metrics.requests, ...traces.watches],
  })
  // A port that is taken shows before anything is started.
  const proxy = parts.use(
    await openProxyPorts(
      { ...config.proxy, drainMs: config.shutdown_timeout * GIVEN_UP_AFTER },
      { fetcher, pool, keys, requests, admission, clock, random, logger },
      tls,
    ),
  )

  const life = new AbortController()
  const healthyWorkers = () => pool.entries().flatMap(({ name, health }) => (health === 'healthy' ? [name.id] : []))
  const onionChecks = checks.checkOnions(() => (cluster.leads() ? healthyWorkers() : []), life.signal)

  const version = VERSION
  const jobsParts = {
    ...{ clock, random, logger, keys, policy: ofCallers },
    fetch: (request: FetchRequest, fetchSignal: AbortSignal) => backend.fetch({ ...request, via: 'job' }, fetchSignal),
  }
  const jobs: ServiceJobs = parts.use(
    'link' in jobStore ? jobStore.createJobs(jobsParts) : createJobs(config, { ...jobsParts, store: jobStore }),
  )
  const backend = createBackend({
    ...{ version, clock, store, pool, fetcher, told, requests, admission, jobs, live },
    checks:
      cluster.shared === undefined
        ? checks
        : parts.use(
            new CheckShare({
              clock,
              store,
              checks,
              replica: cluster.shared.presence.self.replica,
              keep: (write) => told.keep(write),
            }),
          ),
    waiting: () => order.waiting,
    replicas: viewOfCluster,
    reloadConfig: () => reloading.reload().catch((error: unknown) => throwProblem(error)),
    life: life.signal,
  })
  const upkeep = new Upkeep(
    pool,
    upkeepPolicyOf(config),
    (id) => (cluster.heals(unit(id)) ? backend.newCircuits(id) : { acted: Promise.resolve() }),
    clock,
  )
  const reloading = new Reload(config, {
    read() {
      if (overrides.reread !== undefined) return namedInPool(overrides.reread(), written)
      throw new CbtorError('conflict', 'Cannot read the configuration anew: this service was not started with one')
    },
    prepare: (wanted) => drivers.createAll(wanted, life.signal),
    apply: (next, isChanged) =>
      applyConfig(
        {
          ...{ log: root, requests, drivers, workers, order, checks, jobs, upkeep, server, proxy, store },
          policies: { all: fetching.policy, callers: ofCallers },
        },
        next,
        isChanged,
      ),
    change: (plan, superseded) => changeWorkers(plan, { workers, clock, logger, life: life.signal, superseded }),
    onReloaded: (reloaded) => told.configReloaded(reloaded),
    onRefused: (error) => told.configRefused(error.details),
  })
  parts.defer(async () => {
    life.abort()
    await Promise.all([onionChecks, upkeep[Symbol.asyncDispose](), reloading.end()])
  })
  const join = parts.use(
    joinCluster({ clock, logger, cluster, told, pool, keys, fetcher, admission, life: life.signal }),
  )
  if (cluster.shared !== undefined)
    parts.use(
      await openPeers(config, {
        ...{ clock, random, logger, workers, shared: cluster.shared, life: life.signal },
        orders: {
          restart: (id, until) => backend.restartTor(id, until),
        },
      }),
    )
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
  jobs.start()
  const { url } = await server.listen(config.listen)
  told.events.record({ type: 'service_started', version })
  signal.throwIfAborted()

  const owned = parts.move()
  return {
    ...{ url, adminKey },
    proxy: { http: proxy.http, socks: proxy.socks },
    backend,
    reload: () => reloading.reload(),
    reloadSettled: () => reloading.settled,
    pids: () => workers.pids(),
    ready: (readySignal) => workers.allHealthy(readySignal),
    async [Symbol.asyncDispose]() {
      told.events.record({ type: 'service_stopping', reason: 'it was asked to' })
      reloading.close()
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

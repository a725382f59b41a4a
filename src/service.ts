import { readFileSync } from 'node:fs'
import { mkdir } from 'node:fs/promises'
import { join } from 'node:path'
import type { Backend } from './api/backend.ts'
import { createApiServer } from './api/server.ts'
import type { ServiceConfig } from './config/read-config.ts'
import { CbtorError } from './domain/errors.ts'
import type { Mode } from './domain/exchange.ts'
import { Identities } from './domain/identity.ts'
import { Fetcher } from './fetch/fetcher.ts'
import { createTargetPolicy } from './fetch/target-policy.ts'
import type { Lease as FetchLease } from './fetch/worker-source.ts'
import { CheckEndpoints, DEFAULT_CHECK_POLICY } from './health/check-endpoints.ts'
import type { CheckEndpoint } from './health/check-plan.ts'
import type { CheckStatistics } from './health/check-statistics.ts'
import { ONION_TEST_SITES } from './health/onion-test-sites.ts'
import { DEFAULT_POLICY, type HealthPolicy } from './health/policy.ts'
import { onAbort } from './lib/abort.ts'
import { type Clock, systemClock } from './lib/clock.ts'
import { createLogger, type Logger } from './lib/log.ts'
import { type Random, systemRandom } from './lib/random.ts'
import { Pool } from './pool/pool.ts'
import { SqliteStore } from './store/sqlite-store.ts'
import type { Store } from './store/store.ts'
import { WorkerUnit } from './worker-unit.ts'
import type { WorkerDriver } from './workers/driver.ts'
import { LocalDriver } from './workers/local/local-driver.ts'

/** What a test puts in the place of the real thing. */
export interface ServiceOverrides {
  readonly clock?: Clock
  readonly random?: Random
  readonly logger?: Logger
  readonly store?: Store
  readonly createDriver?: (id: string) => WorkerDriver
}

/** Everything that runs, from the API down to the workers. Disposing it ends all of it, in the reverse order. */
export interface Service extends AsyncDisposable {
  /** Of the API, without a slash at its end. */
  readonly url: string
  readonly backend: Backend
  /** Process ids of the local workers that run, by worker id. */
  pids(): Readonly<Record<string, number>>
  /** Resolves once every worker that the operator wants has become healthy. Rejects with the signal's reason. */
  ready(signal: AbortSignal): Promise<void>
}

/** Builds every part once, in order, and resolves when the API listens; workers may still be starting. */
export async function createService(
  config: ServiceConfig,
  overrides: ServiceOverrides,
  signal: AbortSignal,
): Promise<Service> {
  await using parts = new AsyncDisposableStack()
  const clock = overrides.clock ?? systemClock
  const random = overrides.random ?? systemRandom
  const logger = overrides.logger ?? createLogger(config.log)
  const startedAt = clock.now()

  await mkdir(config.state, { recursive: true, mode: 0o700 })
  const store = parts.use(overrides.store ?? new SqliteStore(join(config.state, 'cbtor.db')))
  const identities = new Identities(
    store.poolSecret(() => random.bytes(32)),
    () => random.bytes(32),
  )

  // Workers and pool
  const desired = store.desiredStates()
  const endpoints = checkEndpointsOf(config)
  const units = config.workers.map((worker, index) => {
    const name = { id: worker.id, n: index + 1 }
    return parts.use(
      new WorkerUnit({
        name,
        driver: overrides.createDriver?.(worker.id) ?? createDriver(config, worker, clock, logger),
        desired: desired.get(worker.id) ?? 'enabled',
        clock,
        random,
        logger,
        policy: healthPolicyOf(config),
        probe: (probeSignal) => checks.probe(worker.id, probeSignal),
        onHealth: (health, reason) => {
          pool.setHealth(worker.id, health)
          if (health === 'dead') fetcher.abandonWorker(worker.id, reason)
        },
      }),
    )
  })
  const pool = new Pool(units, { clock, random, mode: store.mode() ?? config.mode, desired })
  const unit = (id: string): WorkerUnit => pool.get(id).member

  // Fetching, for callers and for checks
  const fetching = {
    clock,
    identities,
    extraCa: config.tls.ca_file === undefined ? [] : [readFileSync(config.tls.ca_file, 'utf8')],
    policy: createTargetPolicy({ allow: config.targets.allow }),
  }
  const fetcher = parts.use(
    new Fetcher({
      ...fetching,
      source: { acquire: (selection, tried) => leaseOf(pool.acquire(selection, tried)) },
    }),
  )
  const checkFetcher = parts.use(
    new Fetcher({
      ...fetching,
      maxIdle: 0, // a check is to make a stream
      // A check goes through its worker whatever the pool thinks of it: that is what it is to find out.
      source: {
        acquire: ({ workerId = '' }, tried) => {
          if (tried.size > 0) throw new CbtorError('no_worker', 'Cannot check the worker by another one')
          return { ...withUnit(unit(workerId)), report() {}, [Symbol.dispose]() {} }
        },
      },
    }),
  )
  const checkIdentities = new Map<string, number>()
  const checks = new CheckEndpoints({
    endpoints,
    clock,
    policy: { ...DEFAULT_CHECK_POLICY, probeLimitMs: config.health.check_timeout * 0.8 },
    isWell: (id) => pool.get(id).health === 'healthy',
    check: async (workerId, endpoint, checkSignal) => {
      const started = clock.monotonic()
      const turn = checkIdentities.get(workerId) ?? 0
      try {
        const { status } = await checkFetcher.fetch(
          { ...CHECK_REQUEST, url: endpoint.url, workerId, stickyKey: `check ${workerId} ${turn}` },
          checkSignal,
        )
        if (status >= 400) throw new Error(`answered with status ${status}`)
        return { latencyMs: clock.monotonic() - started }
      } catch (error) {
        // One circuit for all checks of a worker, until it fails: then a new one, lest a bad circuit pass for a bad worker.
        checkIdentities.set(workerId, turn + 1)
        throw error
      }
    },
  })
  const life = new AbortController()
  const healthyWorkers = () => pool.entries().flatMap(({ name, health }) => (health === 'healthy' ? [name.id] : []))
  const onionChecks = checks.checkOnions(healthyWorkers, life.signal)
  parts.defer(async () => {
    life.abort()
    await onionChecks
  })

  // API
  const setDesired = (id: string, wish: 'enabled' | 'drained' | 'stopped') => {
    store.setDesiredState(id, wish)
    pool.setDesired(id, wish)
  }
  const backend: Backend = {
    service: () => ({ version: VERSION, startedAt }),
    workers: () => pool.entries().map(({ member, leases }) => member.view(leases)),
    endpoints: () =>
      checks.statistics().map(({ byWorker, ...statistics }) => ({
        ...withLastMessage(statistics),
        workers: [...byWorker].map(([worker, own]) => ({ worker, ...withLastMessage(own) })),
      })),
    fetch: (request, requestSignal) => fetcher.fetch(request, requestSignal),
    mode: () => pool.mode,
    async setMode(mode: Mode) {
      store.setMode(mode)
      pool.setMode(mode)
    },
    async startTor(id, requestSignal) {
      const wish = pool.get(id).desired === 'drained' ? 'drained' : 'enabled'
      setDesired(id, wish)
      await unit(id).follow(wish, requestSignal)
    },
    async stopTor(id, requestSignal) {
      setDesired(id, 'stopped')
      await unit(id).follow('stopped', requestSignal)
    },
    async restartTor(id, requestSignal) {
      if (pool.get(id).desired === 'stopped') return await this.startTor(id, requestSignal)
      await unit(id).restart(requestSignal)
    },
    async drain(id, options) {
      pool.drain(id, options)
      store.setDesiredState(id, 'drained')
      await unit(id).follow('drained', life.signal)
    },
    async enable(id) {
      setDesired(id, 'enabled')
      void unit(id)
        .follow('enabled', life.signal)
        .catch(() => {})
      unit(id).forceHealthy()
    },
  }
  for (const worker of units) worker.start()
  const server = parts.use(await createApiServer({ backend, logger, clock, random }))
  const { url } = await server.listen(config.listen)
  signal.throwIfAborted()

  const owned = parts.move()
  return {
    url,
    backend,
    pids: () =>
      Object.fromEntries(
        units.flatMap((worker) => {
          const pid = worker.pid()
          return pid === undefined ? [] : [[worker.name.id, pid]]
        }),
      ),
    ready: (readySignal) => allHealthy(pool, readySignal),
    [Symbol.asyncDispose]: () => owned.disposeAsync(),
  }
}

const VERSION = (JSON.parse(readFileSync(new URL('../package.json', import.meta.url), 'utf8')) as { version: string })
  .version

const CHECK_REQUEST = {
  method: 'GET',
  headers: [],
  timeoutMs: 60_000, // the check's own signal ends it sooner
  maxBytes: 1024 * 1024,
  followRedirects: false,
  maxRedirects: 0,
  allowDowngrade: false,
  allowOnionToClearnet: false,
  isolation: 'none',
} as const

function createDriver(
  config: ServiceConfig,
  worker: ServiceConfig['workers'][number],
  clock: Clock,
  logger: Logger,
): WorkerDriver {
  return new LocalDriver({
    id: worker.id,
    directory: join(config.state, 'workers', worker.id),
    command: config.tor.command,
    torrc: [...config.tor.torrc, ...worker.torrc],
    rejectInternalAddresses: config.tor.reject_internal_addresses,
    clock,
    logger: logger.child({ worker: worker.id }),
  })
}

function checkEndpointsOf({ checks }: ServiceConfig): readonly CheckEndpoint[] {
  const named = (url: string) => ({ name: new URL(url).hostname, url })
  return [...checks.clearnet.map(named), ...(checks.onion?.map(named) ?? ONION_TEST_SITES)]
}

function healthPolicyOf({ health }: ServiceConfig): HealthPolicy {
  const [first = 1_000, ...later] = health.recovery_backoff
  return {
    ...DEFAULT_POLICY,
    checkEveryMs: health.check_interval,
    probeTimeoutMs: health.check_timeout,
    failsToSuspect: health.failure_threshold,
    failsToDead: health.failure_threshold,
    backoffMs: [first, ...later],
    rebootAfterAttempts: health.reboot_after_attempts,
    rebootWaitMs: health.reboot_wait,
  }
}

function withUnit(unit: WorkerUnit): Pick<FetchLease, 'worker' | 'connect'> {
  return { worker: unit.name, connect: (target, identity, signal) => unit.connect(target, identity, signal) }
}

function withLastMessage<T extends CheckStatistics>(statistics: T): T & { readonly lastError: string | undefined } {
  return { ...statistics, lastError: statistics.lastError?.message }
}

/** The pool's lease, in the words of `fetch`. */
function leaseOf(lease: { readonly member: WorkerUnit } & Disposable): FetchLease {
  return {
    ...withUnit(lease.member),
    report: (outcome) => lease.member.report(outcome),
    [Symbol.dispose]: () => lease[Symbol.dispose](),
  }
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

import type { Backend } from './api/backend.ts'
import { CbtorError } from './domain/errors.ts'
import { circuitsRenewed } from './domain/events.ts'
import type { Mode, Receipt } from './domain/exchange.ts'
import type { DesiredState } from './domain/worker.ts'
import type { Fetcher } from './fetch/fetcher.ts'
import type { SessionView } from './fetch/session.ts'
import type { CheckEndpoints } from './health/check-endpoints.ts'
import type { CheckStatistics } from './health/check-statistics.ts'
import type { Clock } from './lib/clock.ts'
import { takesTraffic } from './pool/choose.ts'
import type { Pool, PoolEntry } from './pool/pool.ts'
import type { ServiceEvents } from './service-events.ts'
import type { ServiceLive } from './service-live.ts'
import { carryOut, type RequestParts } from './service-request.ts'
import type { Store } from './store/store.ts'
import type { WorkerUnit } from './worker-unit.ts'

export interface BackendParts extends RequestParts {
  readonly version: string
  readonly clock: Clock
  readonly store: Store
  readonly pool: Pool<WorkerUnit>
  readonly fetcher: Fetcher
  readonly checks: Pick<CheckEndpoints, 'statistics'>
  readonly told: ServiceEvents
  readonly jobs: Backend['jobs']
  readonly reloadConfig: Backend['reloadConfig']
  readonly live: ServiceLive
  readonly replicas: Backend['replicas']
  /** How many requests wait for a worker or for their target to have room. */
  waiting(): number
  /** Aborts when the service ends. */
  readonly life: AbortSignal
}

/** What the API asks for, done with the parts. */
export function createBackend(parts: BackendParts): Backend {
  const { version, clock, store, pool, fetcher, checks, told, jobs, live, life } = parts
  const startedAt = clock.now()
  const unit = (id: string): WorkerUnit => pool.get(id).member

  function wish(id: string, desired: DesiredState): void {
    pool.setDesired(id, desired)
    told.keep(() => store.setDesiredState(id, desired))
  }

  async function startTor(id: string, signal: AbortSignal): Promise<void> {
    const desired = pool.get(id).desired === 'drained' ? 'drained' : 'enabled'
    wish(id, desired)
    await unit(id).follow(desired, signal)
  }

  function answered({ sessionMoved, worker }: Receipt): void {
    if (sessionMoved) told.events.record({ type: 'session_moved', worker })
  }

  const service = () => ({ version, startedAt })
  const workers = () => pool.entries().map((entry) => entry.member.view(entry.leases, receivesTraffic(entry)))

  return {
    ...{ service, workers },
    endpoints: () =>
      checks.statistics().map(({ byWorker, ...statistics }) => ({
        ...withLastMessage(statistics),
        workers: [...byWorker].map(([worker, own]) => ({ worker, ...withLastMessage(own) })),
      })),
    problems: () => told.problems.list(),
    replicas: () => parts.replicas(),
    events: told.events,
    live: () =>
      live.view({
        ...{ service: service(), workers: workers(), problems: told.problems.list() },
        waiting: parts.waiting(),
      }),
    requestsUnderWay: () => live.underWay(),
    metrics: async () => ({ contentType: told.metrics.contentType, text: await told.metrics.text() }),

    fetch: (request, signal) =>
      carryOut(parts, 'fetch', request, signal, async ({ request: asked, line, signal: until }) => {
        const answer = await fetcher.fetch(asked, until)
        answered(answer)
        const { status, worker, attempts, body } = answer
        line.answered(answer)
        line.ended({ status, worker, attempts, sent: request.body?.length ?? 0, received: body.length })
        return answer
      }),
    stream: (request, signal) =>
      carryOut(parts, 'fetch', request, signal, async ({ request: asked, line, signal: until, ends }) => {
        const answer = await fetcher.stream(asked, until)
        answered(answer)
        const { status, worker, attempts } = answer
        line.answered(answer)
        const sent = request.body?.length ?? 0
        const rest = ends.move()
        void answer.ended.then(({ receipt, failure }) => {
          rest.dispose()
          const outcome = failure?.code ?? 'ok'
          line.ended({ status, worker, attempts, outcome, sent, received: receipt.bytes.decoded })
        })
        return answer
      }),

    jobs,

    reloadConfig: () => parts.reloadConfig(),
    mode: () => pool.mode,
    async setMode(mode: Mode) {
      pool.setMode(mode)
      told.keep(() => store.setMode(mode))
    },

    startTor,
    async stopTor(id, signal) {
      wish(id, 'stopped')
      fetcher.abandonWorker(id, 'the operator stopped it')
      await unit(id).follow('stopped', signal)
    },
    async restartTor(id, signal) {
      if (pool.get(id).desired === 'stopped') return await startTor(id, signal)
      fetcher.abandonWorker(id, 'the operator restarted it')
      await unit(id).restart(signal)
      told.events.record({ type: 'tor_restarted', worker: id, by: 'operator' })
    },
    async rebootHost(id, signal) {
      fetcher.abandonWorker(id, 'the operator reboots its box')
      await unit(id).reboot(signal)
    },
    async drain(id, options) {
      pool.drain(id, options)
      told.keep(() => store.setDesiredState(id, 'drained'))
      unit(id)
        .follow('drained', life)
        .catch(() => {}) // Tor stays as it is; nothing to wait for
    },
    async enable(id) {
      wish(id, 'enabled')
      unit(id)
        .follow('enabled', life)
        .catch(() => {})
      unit(id).forceHealthy()
    },

    async inspect(id, signal) {
      const [tor, host] = await Promise.all([unit(id).inspect(signal), unit(id).inspectHost(signal)])
      return { ...tor, host }
    },
    newCircuits(id) {
      const { desired } = pool.get(id)
      if (desired === 'stopped')
        throw new CbtorError('conflict', `Cannot renew the circuits of worker "${id}": it is stopped`)
      const orderedAt = clock.monotonic()
      const actsAt = unit(id).newCircuitsActAt()
      const acted = unit(id)
        .newCircuits()
        .then(({ exitsBefore, exitsAfter }) => {
          fetcher.dropConnections(id)
          unit(id)
            .warmUp(life)
            .catch(() => {})
          const renewed = circuitsRenewed(exitsBefore, exitsAfter, clock.monotonic() - orderedAt)
          told.events.record({ type: 'circuits_renewed', worker: id, ...renewed })
          return renewed
        })
      acted.catch(() => {}) // who asked may not wait for it
      return { actsAt, acted }
    },

    sessions: (wanted) => fetcher.sessions.list(wanted).map(shownSession),
    session(name) {
      const found = fetcher.sessions.find(name)
      return found && shownSession(found)
    },
    async rotateSession(name) {
      const rotated = fetcher.rotateSession(name)
      told.events.record({ type: 'session_rotated', worker: rotated.worker })
      return shownSession(rotated)
    },
    async endSession(name) {
      const ended = fetcher.sessions.get(name)
      fetcher.endSession(name)
      told.events.record({ type: 'session_ended', worker: ended.worker })
      return shownSession(ended)
    },
  }
}

/** Whether the pool hands it out. */
export function receivesTraffic({ desired, health }: Pick<PoolEntry<unknown>, 'desired' | 'health'>): boolean {
  return desired === 'enabled' && takesTraffic(health)
}

function shownSession(session: SessionView) {
  return { ...session, expiresAt: session.endsAt }
}

function withLastMessage<T extends CheckStatistics>(
  statistics: T,
): Omit<T, 'lastError'> & { lastError: string | undefined } {
  return { ...statistics, lastError: statistics.lastError?.message }
}

import { CbtorError } from './domain/errors.ts'
import type { Identities } from './domain/identity.ts'
import { Fetcher } from './fetch/fetcher.ts'
import type { TargetPolicy } from './fetch/target-policy.ts'
import { CheckEndpoints, type CheckPolicy, DEFAULT_CHECK_POLICY } from './health/check-endpoints.ts'
import type { CheckEndpoint } from './health/check-plan.ts'
import type { Clock } from './lib/clock.ts'
import type { WorkerUnit } from './worker-unit.ts'

export interface WorkerChecksOptions {
  readonly clock: Clock
  readonly endpoints: readonly CheckEndpoint[]
  /** For a whole probe. */
  readonly limitMs: number
  readonly identities: Identities
  readonly policy: TargetPolicy
  readonly extraCa: readonly string[]
  unit(workerId: string): WorkerUnit
  isWell(workerId: string): boolean
}

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

/** A worker that fails for long takes no more identities than that, for each may hold something of the worker for a while. */
const CHECK_IDENTITIES = 8

/** Checks workers with the same fetcher that serves the callers, but through the one worker, whatever the pool thinks of it. */
export class WorkerChecks extends CheckEndpoints implements Disposable {
  readonly #fetcher: Fetcher
  readonly #turns: Map<string, number>

  constructor(options: WorkerChecksOptions) {
    const { clock, endpoints, limitMs, identities, policy, extraCa, unit, isWell } = options
    const fetcher = new Fetcher({
      ...{ clock, identities, policy, extraCa },
      maxIdle: 0, // a check is to make a stream
      verdictMs: 0, // a check is what the verdict comes from
      source: {
        acquire({ workerId = '' }, tried) {
          if (tried.size > 0) throw new CbtorError('no_worker', 'Cannot check the worker by another one')
          const { name } = unit(workerId)
          return {
            worker: name,
            // Its sticky key is for one circuit, not for one exit: it is to go the way that most requests go. That other identities
            // have to wait for a circuit says nothing of the worker's health.
            connect: (target, identity, signal, options) =>
              unit(workerId).connect(target, { ...identity, keepsExit: false }, signal, { ...options, isCheck: true }),
            resolve: (host, identity, signal) => unit(workerId).resolve(host, identity, signal),
            forget: (identity) => unit(workerId).forget(identity),
            report() {},
            [Symbol.dispose]() {},
          }
        },
      },
    })
    // One identity for all checks of a worker, hence one circuit, until a check fails: then a new one, lest a bad circuit
    // pass for a bad worker. No caller's sticky key has a blank in it.
    const turns = new Map<string, number>()
    super({
      ...{ clock, endpoints, isWell },
      policy: checkPolicyOf(limitMs),
      async check(workerId, { url }, signal) {
        const startedAt = clock.monotonic()
        const turn = turns.get(workerId) ?? 0
        try {
          const stickyKey = `check ${workerId} ${turn % CHECK_IDENTITIES}`
          const { status } = await fetcher.fetch({ ...CHECK_REQUEST, url, workerId, stickyKey }, signal)
          if (status >= 400) throw new Error(`answered with status ${status}`)
          return { latencyMs: clock.monotonic() - startedAt }
        } catch (error) {
          // Withdrawn is not failed: another endpoint was quicker.
          if (!isWithdrawn(signal)) turns.set(workerId, turn + 1)
          throw error
        }
      },
    })
    this.#fetcher = fetcher
    this.#turns = turns
  }

  override forget(workerId: string): void {
    super.forget(workerId)
    this.#turns.delete(workerId)
    this.#fetcher.dropConnections(workerId)
  }

  [Symbol.dispose](): void {
    this.#fetcher[Symbol.dispose]()
  }
}

/** A limit that was reached has a reason of its own; what is withdrawn is aborted without one. */
function isWithdrawn({ aborted, reason }: AbortSignal): boolean {
  return aborted && reason instanceof DOMException && reason.name === 'AbortError'
}

/** `limitMs`: for a whole probe, witnesses included. */
export function checkPolicyOf(limitMs: number): CheckPolicy {
  return { ...DEFAULT_CHECK_POLICY, probeLimitMs: limitMs * 0.8 }
}

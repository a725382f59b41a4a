import { abortable, deadline, onAbort } from '../lib/abort.ts'
import type { Clock } from '../lib/clock.ts'
import { type CheckEndpoint, isOnionEndpoint, planOnionCheck, planProbe } from './check-plan.ts'
import { type CheckOutcome, type CheckStatistics, CheckTally } from './check-statistics.ts'
import type { ProbeResult } from './monitored.ts'

/** Fetches the endpoint through the worker and looks at the answer; rejects when it is not as it should be. */
export type Check = (workerId: string, endpoint: CheckEndpoint, signal: AbortSignal) => Promise<{ latencyMs: number }>

/** All times in milliseconds. */
export interface CheckPolicy {
  /** So many endpoints are tried before a probe has failed. */
  readonly tries: number
  /** The next endpoint is tried beside one that has not answered for so long. */
  readonly staggerMs: number
  /** For a whole probe; below the monitor's own limit, so that the endpoints' failures are counted. */
  readonly probeLimitMs: number
  /** From one check of an onion endpoint to the next, over all workers. */
  readonly onionEveryMs: number
  /** The original's TEST_TIMEOUT. */
  readonly onionLimitMs: number
  /** How long a check says something about an endpoint. Longer than a worker may go unprobed under traffic. */
  readonly recentMs: number
}

export const DEFAULT_CHECK_POLICY: CheckPolicy = {
  tries: 3,
  staggerMs: 2_500,
  probeLimitMs: 8_000,
  onionEveryMs: 60_000,
  onionLimitMs: 30_000,
  recentMs: 120_000,
}

export interface CheckEndpointsOptions {
  readonly endpoints: readonly CheckEndpoint[]
  readonly check: Check
  readonly clock: Clock
  readonly policy?: CheckPolicy
  /** Whether the worker is thought to be well: only then do its failures say anything about an endpoint. */
  readonly isWell: (workerId: string) => boolean
}

export interface EndpointStatistics extends CheckStatistics, CheckEndpoint {
  readonly kind: 'clearnet' | 'onion'
  readonly byWorker: ReadonlyMap<string, CheckStatistics>
}

interface Ledger {
  readonly total: CheckTally
  readonly byWorker: Map<string, { readonly tally: CheckTally; lastAt: number; lastOk: boolean }>
}

/** Checks workers by fetching pages through them, keeps the books on those pages, and tells their faults from the workers'. */
export class CheckEndpoints {
  readonly #options: CheckEndpointsOptions
  readonly #policy: CheckPolicy
  readonly #ledgers: ReadonlyMap<CheckEndpoint, Ledger>
  readonly #turns = new Map<string, number>()

  constructor(options: CheckEndpointsOptions) {
    this.#options = options
    this.#policy = options.policy ?? DEFAULT_CHECK_POLICY
    this.#ledgers = new Map(
      options.endpoints.map((endpoint) => [endpoint, { total: new CheckTally(), byWorker: new Map() }]),
    )
  }

  /**
   * Tries a few endpoints through the worker, the next when one fails or is slow; any that passes is a pass. Rejects only
   * with the signal's reason; checks that were not finished by then, or when another passed, are not counted.
   */
  async probe(workerId: string, signal: AbortSignal): Promise<ProbeResult> {
    const { clock, endpoints } = this.#options
    const { tries, staggerMs, probeLimitMs } = this.#policy
    const turn = this.#turns.get(workerId) ?? 0
    this.#turns.set(workerId, turn + 1)
    const plan = planProbe(endpoints, turn, tries)
    if (plan.length === 0) return { verdict: 'unclear', reason: 'no check endpoint is configured' }

    const withdrawn = new AbortController()
    using _ = onAbort(signal, (reason) => withdrawn.abort(reason))
    using limit = deadline(clock, probeLimitMs, withdrawn.signal, () => new Error(`no answer in ${probeLimitMs} ms`))
    const tried: CheckEndpoint[] = []
    const checks: Promise<void>[] = []
    try {
      for (const endpoint of plan) {
        if (limit.signal.aborted) break
        tried.push(endpoint)
        checks.push(this.#run(endpoint, workerId, limit.signal, withdrawn.signal))
        if (await this.#passes(checks, staggerMs)) return { verdict: 'passed' }
      }
      await Promise.any(checks)
      return { verdict: 'passed' }
    } catch (error) {
      signal.throwIfAborted()
      if (!(error instanceof AggregateError)) throw error
      return this.#blame(workerId, tried, error.errors.map(messageOf).join('; '))
    } finally {
      withdrawn.abort()
    }
  }

  /**
   * Until `signal` aborts, now and then checks the next onion endpoint through the next of `workers()`. For the
   * statistics only: a page that takes 30 s to load says nothing in time for the worker's health.
   */
  async checkOnions(workers: () => readonly string[], signal: AbortSignal): Promise<void> {
    const { clock, endpoints } = this.#options
    const { onionEveryMs, onionLimitMs } = this.#policy
    for (let turn = 0; !signal.aborted; turn++) {
      const next = planOnionCheck(endpoints, workers(), turn)
      const startedAt = clock.monotonic()
      if (next !== undefined) {
        using limit = deadline(clock, onionLimitMs, signal, () => new Error(`no answer in ${onionLimitMs} ms`))
        await this.#run(next.endpoint, next.worker, limit.signal, signal).catch(() => 'counted')
      }
      await clock.sleep(startedAt + onionEveryMs - clock.monotonic(), signal).catch(() => 'aborted')
    }
  }

  /** In the order of the configuration. */
  statistics(): readonly EndpointStatistics[] {
    return [...this.#ledgers].map(([endpoint, { total, byWorker }]) => ({
      ...endpoint,
      kind: isOnionEndpoint(endpoint) ? 'onion' : 'clearnet',
      ...total.statistics(),
      byWorker: new Map([...byWorker].map(([id, { tally }]) => [id, tally.statistics()])),
    }))
  }

  /** One check, counted unless it is withdrawn. Rejects when it fails. */
  async #run(endpoint: CheckEndpoint, workerId: string, limit: AbortSignal, withdrawn: AbortSignal): Promise<void> {
    try {
      const { latencyMs } = await abortable(this.#options.check(workerId, endpoint, limit), limit)
      this.#count(endpoint, workerId, { ok: true, latencyMs })
    } catch (error) {
      if (!withdrawn.aborted) this.#count(endpoint, workerId, { ok: false, message: messageOf(error) })
      throw new Error(`${endpoint.name}: ${messageOf(error)}`, { cause: error })
    }
  }

  #count(endpoint: CheckEndpoint, workerId: string, outcome: CheckOutcome): void {
    const { clock } = this.#options
    const ledger = this.#ledgers.get(endpoint)
    if (ledger === undefined) return
    const own = ledger.byWorker.get(workerId) ?? { tally: new CheckTally(), lastAt: 0, lastOk: false }
    ledger.byWorker.set(workerId, own)
    own.lastAt = clock.monotonic()
    own.lastOk = outcome.ok
    own.tally.add(outcome, clock.now())
    ledger.total.add(outcome, clock.now())
  }

  /** Waits until a check has passed (true), all have failed, or the last one is slow. */
  async #passes(checks: readonly Promise<void>[], staggerMs: number): Promise<boolean> {
    const slow = Promise.withResolvers<boolean>()
    using _ = this.#options.clock.timer(staggerMs, () => slow.resolve(false))
    const first = Promise.any(checks).then(
      () => true,
      () => false,
    )
    return await Promise.race([first, slow.promise])
  }

  /**
   * Whose fault it is that every endpoint failed: the worker's if another one has just passed one of them, and if there is
   * nobody to compare with; nobody's if they fail for all that are well, for then it is the pages or our uplink.
   */
  #blame(workerId: string, tried: readonly CheckEndpoint[], reason: string): ProbeResult {
    const since = this.#options.clock.monotonic() - this.#policy.recentMs
    const others = tried
      .flatMap((endpoint) => [...(this.#ledgers.get(endpoint)?.byWorker ?? [])])
      .filter(([id, { lastAt }]) => id !== workerId && lastAt >= since)

    if (others.some(([, { lastOk }]) => lastOk)) return { verdict: 'failed', reason }
    const hasWitness = others.some(([id]) => this.#options.isWell(id))
    return hasWitness ? { verdict: 'unclear', reason: `for all workers: ${reason}` } : { verdict: 'failed', reason }
  }
}

function messageOf(error: unknown): string {
  return error instanceof Error ? error.message : String(error)
}

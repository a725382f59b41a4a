import { abortable, deadline, onAbort } from '../lib/abort.ts'
import type { Clock } from '../lib/clock.ts'
import { type CheckEndpoint, isOnionEndpoint, planOnionCheck, planProbe } from './check-plan.ts'
import { type CheckPoint, CheckSeries } from './check-series.ts'
import { type CheckOutcome, type CheckStatistics, CheckTally } from './check-statistics.ts'
import { LatencyWindow } from './latency-window.ts'
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
  /**
   * A healthy worker has less time, so that it is soon noticed when its relays cannot be reached: so many times its own
   * recent 95th percentile, but so much at least, and only once so many of its probes have passed.
   */
  readonly adaptFactor: number
  readonly adaptFloorMs: number
  readonly adaptAfter: number
  /** So many workers that are well are asked for the same endpoint before another is blamed. */
  readonly witnesses: number
  /** From one check of an onion endpoint to the next, over all workers. */
  readonly onionEveryMs: number
  /** The original's TEST_TIMEOUT. */
  readonly onionLimitMs: number
}

export const DEFAULT_CHECK_POLICY: CheckPolicy = {
  tries: 3,
  staggerMs: 2_500,
  probeLimitMs: 8_000,
  adaptFactor: 6,
  adaptFloorMs: 500,
  adaptAfter: 1,
  witnesses: 2,
  onionEveryMs: 60_000,
  onionLimitMs: 30_000,
}

export interface CheckEndpointsOptions {
  readonly endpoints: readonly CheckEndpoint[]
  readonly check: Check
  readonly clock: Clock
  readonly policy?: CheckPolicy
  /** Whether the worker is thought to be well: only then does it say anything about an endpoint. */
  readonly isWell: (workerId: string) => boolean
}

export interface EndpointStatistics extends CheckStatistics, CheckEndpoint {
  readonly kind: 'clearnet' | 'onion'
  readonly byWorker: ReadonlyMap<string, CheckStatistics>
  /** The oldest first. */
  readonly series: readonly CheckPoint[]
}

interface Ledger {
  readonly total: CheckTally
  readonly series: CheckSeries
  readonly byWorker: Map<string, CheckTally>
}

/** A worker that has been probed. */
interface Probed {
  turn: number
  passedAt: number
  readonly latencies: LatencyWindow
}

/** Of the latencies of a worker's probes: some three minutes, at 10 s between probes. */
const RECENT_PROBES = 20
/** The share of a probe's limit that its witnesses have, after it: together they stay below the monitor's own limit. */
const WITNESS_SHARE = 0.2

/** Checks workers by fetching pages through them, keeps the books on those pages, and tells their faults from the workers'. */
export class CheckEndpoints {
  readonly #options: CheckEndpointsOptions
  #policy: CheckPolicy
  #ledgers: ReadonlyMap<CheckEndpoint, Ledger>
  readonly #probed = new Map<string, Probed>()

  constructor(options: CheckEndpointsOptions) {
    this.#options = options
    this.#policy = options.policy ?? DEFAULT_CHECK_POLICY
    this.#ledgers = ledgersOf(options.endpoints, new Map())
  }

  /** Endpoints that stay keep their statistics. */
  reconfigure(endpoints: readonly CheckEndpoint[], policy: CheckPolicy): void {
    this.#policy = policy
    this.#ledgers = ledgersOf(endpoints, this.#ledgers)
  }

  /** The worker is none any more. */
  forget(workerId: string): void {
    this.#probed.delete(workerId)
    for (const { byWorker } of this.#ledgers.values()) byWorker.delete(workerId)
  }

  /**
   * Tries a few endpoints through the worker, the next when one fails or is slow; any that passes is a pass. Rejects only
   * with the signal's reason; checks that were not finished by then, or when another passed, are not counted.
   */
  async probe(workerId: string, signal: AbortSignal): Promise<ProbeResult> {
    const { clock } = this.#options
    const { tries, staggerMs, probeLimitMs } = this.#policy
    const probed = this.#probedWorker(workerId)
    const plan = planProbe([...this.#ledgers.keys()], probed.turn++, tries)
    if (plan.length === 0) return { verdict: 'unclear', reason: 'no check endpoint is configured' }

    const startedAt = clock.monotonic()
    // One that begins while the worker is ill and passes when it recovers has the length of its illness.
    const isUsual = this.#options.isWell(workerId)
    const limitMs = this.#limitOf(workerId)
    const withdrawn = new AbortController()
    using _ = onAbort(signal, (reason) => withdrawn.abort(reason))
    using limit = deadline(clock, limitMs, withdrawn.signal, () => new Error(`no answer in ${Math.round(limitMs)} ms`))
    const tried: CheckEndpoint[] = []
    const checks: Promise<void>[] = []
    try {
      for (const endpoint of plan) {
        if (limit.signal.aborted) break
        tried.push(endpoint)
        checks.push(this.#run(endpoint, workerId, limit.signal, withdrawn.signal))
        if (await this.#passes(checks, (staggerMs * limitMs) / probeLimitMs)) break
      }
      await Promise.any(checks)
      probed.passedAt = clock.monotonic()
      if (isUsual) probed.latencies.add(probed.passedAt - startedAt)
      return { verdict: 'passed' }
    } catch (error) {
      signal.throwIfAborted()
      if (!(error instanceof AggregateError)) throw error
      return await this.#blame(workerId, tried, error.errors.map(messageOf).join('; '), signal)
    } finally {
      withdrawn.abort()
    }
  }

  /**
   * Until `signal` aborts, now and then checks the next onion endpoint through the next of `workers()`. For the
   * statistics only: a page that takes 30 s to load says nothing in time for the worker's health.
   */
  async checkOnions(workers: () => readonly string[], signal: AbortSignal): Promise<void> {
    const { clock } = this.#options
    const { onionEveryMs, onionLimitMs } = this.#policy
    for (let turn = 0; !signal.aborted; turn++) {
      const next = planOnionCheck([...this.#ledgers.keys()], workers(), turn)
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
    return [...this.#ledgers].map(([endpoint, { total, series, byWorker }]) => ({
      ...endpoint,
      kind: isOnionEndpoint(endpoint) ? 'onion' : 'clearnet',
      ...total.statistics(),
      series: series.points(this.#options.clock.now()),
      byWorker: new Map([...byWorker].map(([id, tally]) => [id, tally.statistics()])),
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
    const own = ledger.byWorker.get(workerId) ?? new CheckTally()
    ledger.byWorker.set(workerId, own)
    own.add(outcome, clock.now())
    ledger.total.add(outcome, clock.now())
    ledger.series.add(outcome, clock.now())
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
   * Whose fault it is that every endpoint failed: nobody's if they fail for others just now, for then it is the pages or
   * our uplink; the worker's if another one can fetch them, and if there is nobody to compare with.
   */
  async #blame(
    workerId: string,
    tried: readonly CheckEndpoint[],
    reason: string,
    signal: AbortSignal,
  ): Promise<ProbeResult> {
    const { clock } = this.#options
    const witnesses = this.#witnessesFor(workerId)
    if (witnesses.length === 0) return { verdict: 'failed', reason }

    const answered = new AbortController()
    using _ = onAbort(signal, (why) => answered.abort(why))
    const limitMs = this.#policy.probeLimitMs * WITNESS_SHARE
    using limit = deadline(clock, limitMs, answered.signal, () => new Error(`no answer in ${Math.round(limitMs)} ms`))
    try {
      const { signal: end } = answered
      await Promise.any(
        witnesses.flatMap((witness) => tried.map((endpoint) => this.#run(endpoint, witness, limit.signal, end))),
      )
      return { verdict: 'failed', reason }
    } catch {
      signal.throwIfAborted()
      return { verdict: 'unclear', reason: `for other workers, too: ${reason}`, failsForOthers: true }
    } finally {
      answered.abort()
    }
  }

  /** Those that passed last, of the workers that are well. */
  #witnessesFor(workerId: string): readonly string[] {
    return [...this.#probed]
      .filter(([id]) => id !== workerId && this.#options.isWell(id))
      .sort(([, a], [, b]) => b.passedAt - a.passedAt)
      .slice(0, this.#policy.witnesses)
      .map(([id]) => id)
  }

  #limitOf(workerId: string): number {
    const { adaptAfter, adaptFactor, adaptFloorMs, probeLimitMs } = this.#policy
    const { latencies } = this.#probedWorker(workerId)
    const usual = latencies.percentile(0.95)
    if (usual === undefined || latencies.count < adaptAfter || !this.#options.isWell(workerId)) return probeLimitMs
    return Math.min(Math.max(adaptFactor * usual, adaptFloorMs), probeLimitMs)
  }

  #probedWorker(workerId: string): Probed {
    const known = this.#probed.get(workerId)
    const probed = known ?? {
      turn: 0,
      passedAt: Number.NEGATIVE_INFINITY,
      latencies: new LatencyWindow(RECENT_PROBES),
    }
    if (known === undefined) this.#probed.set(workerId, probed)
    return probed
  }
}

function ledgersOf(
  endpoints: readonly CheckEndpoint[],
  known: ReadonlyMap<CheckEndpoint, Ledger>,
): ReadonlyMap<CheckEndpoint, Ledger> {
  const ledgers = new Map<CheckEndpoint, Ledger>()
  for (const endpoint of endpoints) {
    const [same, ledger] = [...known].find(([{ name, url }]) => name === endpoint.name && url === endpoint.url) ?? []
    const kept = ledger ?? { total: new CheckTally(), series: new CheckSeries(), byWorker: new Map() }
    ledgers.set(same ?? endpoint, kept)
  }
  return ledgers
}

function messageOf(error: unknown): string {
  return error instanceof Error ? error.message : String(error)
}

import { LatencyWindow } from './latency-window.ts'

/** What became of the checks of one endpoint, by all workers or by one. Instants are wall-clock milliseconds. */
export interface CheckStatistics {
  readonly attempts: number
  readonly successes: number
  readonly failures: number
  readonly lastError: { readonly at: number; readonly message: string } | undefined
  readonly lastSuccessAt: number | undefined
  /** Of the latest successes, so many as `WINDOW` says; undefined before the first. */
  readonly p50Ms: number | undefined
  readonly p95Ms: number | undefined
}

export type CheckOutcome =
  | { readonly ok: true; readonly latencyMs: number }
  | { readonly ok: false; readonly message: string }

/** How many latencies are remembered: enough for a steady 95th percentile, at 10 s between probes the last 16 minutes. */
const WINDOW = 100
const MAX_MESSAGE = 300

/** Counts the checks of one endpoint. Its memory does not grow with their number. */
export class CheckTally {
  readonly #latencies = new LatencyWindow(WINDOW)
  #successes = 0
  #failures = 0
  #lastError: CheckStatistics['lastError']
  #lastSuccessAt: number | undefined

  add(outcome: CheckOutcome, at: number): void {
    if (outcome.ok) {
      this.#latencies.add(outcome.latencyMs)
      this.#successes += 1
      this.#lastSuccessAt = at
    } else {
      this.#failures += 1
      this.#lastError = { at, message: outcome.message.slice(0, MAX_MESSAGE) }
    }
  }

  statistics(): CheckStatistics {
    return {
      attempts: this.#successes + this.#failures,
      successes: this.#successes,
      failures: this.#failures,
      lastError: this.#lastError,
      lastSuccessAt: this.#lastSuccessAt,
      p50Ms: this.#latencies.percentile(0.5),
      p95Ms: this.#latencies.percentile(0.95),
    }
  }
}

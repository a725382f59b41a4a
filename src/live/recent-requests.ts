import type { Clock } from '../lib/clock.ts'
import { LatencyCounts } from './latency-counts.ts'
import { TimeRing } from './time-ring.ts'

const SECOND_MS = 1_000
const WINDOW_S = 60
const POINT_MS = 10_000
const POINTS = 90
/** Just after the start, rates are of so long at least: one request in the first instant is no thousand a second. */
const LEAST_MS = 10_000

interface Bucket {
  requests: number
  failures: number
  readonly latencies: LatencyCounts
}

interface Count {
  count: number
}

/** Figures of some span of time. Percentiles are of what did not fail, undefined where there was nothing. */
export interface RequestFigures {
  readonly requests: number
  readonly failures: number
  readonly p50Ms: number | undefined
  readonly p95Ms: number | undefined
}

/** How many requests ended of late, how many of them failed, and how long they took: of the last minute, and a point each 10 s of 15 minutes. */
export class RecentRequests {
  readonly #clock: Clock
  readonly #window = new TimeRing<Bucket>({ spanMs: SECOND_MS, size: WINDOW_S, make: emptyBucket, clear: clearBucket })
  /** By the wall clock: a page shows when they were. */
  readonly #points = new TimeRing<Bucket>({ spanMs: POINT_MS, size: POINTS, make: emptyBucket, clear: clearBucket })
  readonly #byWorker = new Map<string, TimeRing<Count>>()
  /** By the monotonic clock. */
  readonly #startedAt: number

  constructor(clock: Clock) {
    this.#clock = clock
    this.#startedAt = clock.monotonic()
  }

  count(worker: string | undefined, isOk: boolean, ms: number): void {
    const { now, monotonic } = this.#times()
    for (const bucket of [this.#window.at(monotonic), this.#points.at(now)]) {
      bucket.requests++
      if (isOk) bucket.latencies.add(ms)
      else bucket.failures++
    }
    if (worker !== undefined) this.#ofWorker(worker).at(monotonic).count++
  }

  /** Of the last minute. */
  lastMinute(): RequestFigures & { readonly perSecond: number } {
    const { monotonic } = this.#times()
    const sum = emptyBucket()
    for (const { bucket } of this.#window.spans(monotonic)) {
      sum.requests += bucket.requests
      sum.failures += bucket.failures
      sum.latencies.addAll(bucket.latencies)
    }
    return { ...figuresOf(sum), perSecond: this.#perSecond(sum.requests, monotonic) }
  }

  /** Requests per second of the last minute that ended on the worker. */
  perSecondOf(worker: string): number {
    const ring = this.#byWorker.get(worker)
    if (ring === undefined) return 0
    const { monotonic } = this.#times()
    return this.#perSecond(
      ring.sum(monotonic, ({ count }) => count),
      monotonic,
    )
  }

  /** The last 15 minutes, the oldest first; the newest point still grows. */
  points(): readonly (RequestFigures & { readonly at: number })[] {
    return this.#points.spans(this.#times().now).map(({ at, bucket }) => ({ at, ...figuresOf(bucket) }))
  }

  /** The worker is gone. */
  forget(worker: string): void {
    this.#byWorker.delete(worker)
  }

  /** Over the window, or as much of it as the service has been there. */
  #perSecond(count: number, monotonic: number): number {
    const ranMs = Math.max(LEAST_MS, monotonic - this.#startedAt)
    return count / (Math.min(this.#window.coveredMs(monotonic), ranMs) / SECOND_MS)
  }

  #ofWorker(worker: string): TimeRing<Count> {
    let ring = this.#byWorker.get(worker)
    if (ring === undefined) {
      ring = new TimeRing<Count>({
        spanMs: SECOND_MS,
        size: WINDOW_S,
        make: () => ({ count: 0 }),
        clear: (bucket) => {
          bucket.count = 0
        },
      })
      this.#byWorker.set(worker, ring)
    }
    return ring
  }

  #times(): { readonly now: number; readonly monotonic: number } {
    return { now: this.#clock.now(), monotonic: this.#clock.monotonic() }
  }
}

function emptyBucket(): Bucket {
  return { requests: 0, failures: 0, latencies: new LatencyCounts() }
}

function clearBucket(bucket: Bucket): void {
  bucket.requests = 0
  bucket.failures = 0
  bucket.latencies.clear()
}

function figuresOf({ requests, failures, latencies }: Bucket): RequestFigures {
  return { requests, failures, p50Ms: latencies.percentile(0.5), p95Ms: latencies.percentile(0.95) }
}

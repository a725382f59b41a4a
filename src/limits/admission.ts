import { ANYBODY, type Caller, type KeyLimits } from '../domain/caller.ts'
import { CbtorError } from '../domain/errors.ts'
import type { ProblemCode } from '../domain/problems.ts'
import { onAbort } from '../lib/abort.ts'
import { ByteMeter, type Counted } from '../lib/byte-meter.ts'
import type { Clock } from '../lib/clock.ts'
import { DayBytes } from './day-bytes.ts'
import { HeardReports, type Teller } from './heard-reports.ts'
import type { KeyReport, LimitReport } from './limit-report.ts'
import { type Flow, TokenBucket } from './token-bucket.ts'
import type { UsageStore } from './usage-store.ts'

/** How much a key may use that says nothing itself. Infinity: as much as it likes. */
export type LimitPolicy = Required<KeyLimits>

export const NO_LIMITS: LimitPolicy = {
  rate: Number.POSITIVE_INFINITY,
  burst: Number.POSITIVE_INFINITY,
  concurrent: Number.POSITIVE_INFINITY,
  bytesPerDay: Number.POSITIVE_INFINITY,
}

export interface AdmissionOptions {
  readonly clock: Clock
  readonly defaults: LimitPolicy
  /** Keeps the day's bytes across restarts. Its `setUsage` must not throw. */
  readonly usage?: UsageStore
  /** Told of each refusal. */
  onRefused?(code: ProblemCode, key: string): void
}

/** One request that may go on as far as its key's limits are concerned. Dispose it when all of it has ended. */
export interface Admitted extends Disposable {
  /** Aborts as the caller's does, and with `quota_exceeded` when the key's bytes for the day are used up while the request goes on. */
  readonly signal: AbortSignal
  /** Says that it is a tunnel that stands: it does not count any more for how many requests the key may have under way. */
  stands(): void
}

/** What is known of one key. */
interface Account {
  readonly bucket: TokenBucket
  /** What it was filled by last. */
  flow: Flow
  underWay: number
  /** Requests under way at other replicas. */
  elsewhere: number
  /** Requests that were let in, and how many of them were told of. */
  taken: number
  takenTold: number
  bytesTold: number
  /** Those that go on, tunnels included, each with the bytes at which it ends. */
  readonly admitted: Map<AbortController, number>
  /** The bytes at which the first of them ends: so that who has thousands of tunnels costs no look at each for each. */
  endsAt: number
}

/** How many may come at once where only is said how many per second: what comes in 5 seconds. */
export function burstOf(rate: number): number {
  return Math.max(1, Math.ceil(5 * rate))
}

/** So many keys are remembered before the idle ones are looked for. */
const SWEEP_AT = 1_000

/** Keys that other replicas are told of at a time; beyond, each replica holds them to their limits by itself. */
const MAX_REPORTED = 5_000

/** Tunnels that stand and requests of one key at a time: half of the connections that a port of the proxy takes. */
const MAX_GOING_ON = 4_096
/** Somebody's request ends every moment: how soon is not known. */
const CONCURRENCY_RETRY_AFTER_MS = 1_000

/**
 * Holds each key to its limits: requests per second, requests at the same time, bytes per day. Bytes are counted at the sockets to
 * targets (`meter`), so that nobody who asks for something has to count what came of it, retries, redirects and answers that were
 * given up included. Replicas that tell each other once a second (`report`, `hear`) hold a key to its limits together, but for what
 * each of them lets in until it hears of the others; one that hears nobody goes by what it lets in itself.
 */
export class Admission implements Disposable {
  readonly #options: AdmissionOptions
  readonly #accounts = new Map<string, Account>()
  readonly #bytes: DayBytes
  readonly #meter: ByteMeter<string>
  readonly #heard = new HeardReports()
  #defaults: LimitPolicy
  #sweepAt = SWEEP_AT
  #toldDay = ''

  constructor(options: AdmissionOptions) {
    this.#options = options
    this.#defaults = options.defaults
    const { clock, usage } = options
    this.#bytes = new DayBytes({ clock, store: usage })
    this.#meter = new ByteMeter(clock, (key, read, written) => this.#count(key, read + written))
  }

  /** Holds for requests that come from now on; those that go on were let in by what held then. */
  reconfigure(defaults: LimitPolicy): void {
    this.#defaults = defaults
  }

  /**
   * Lets one request of the caller in, to be held until it has ended. Throws `rate_limited`, `concurrency_limited` or
   * `quota_exceeded` with when to come back. Whoever comes without a key is `ANYBODY`. `signal`: the caller's.
   */
  admit(caller: Caller = ANYBODY, signal?: AbortSignal): Admitted {
    const { clock } = this.#options
    const { rate, burst, concurrent, bytesPerDay } = this.#limitsOf(caller)
    const now = clock.monotonic()
    const flow = { rate, burst }
    const account = this.#account(caller.id, flow, now)
    if (this.#bytes.usedBy(caller.id) >= bytesPerDay) throw this.#refused(quotaExceeded(this.#bytes.endsInMs), caller)
    if (this.#heard.isOver(now)) this.#countElsewhere(now)
    if (account.underWay + account.elsewhere >= concurrent) throw this.#refused(tooManyAtOnce(concurrent), caller)
    const goingOn = concurrent === Number.POSITIVE_INFINITY ? concurrent : Math.max(concurrent, MAX_GOING_ON)
    if (account.admitted.size >= goingOn) throw this.#refused(tooManyAtOnce(goingOn), caller)
    const waitMs = account.bucket.waitMs(flow, now)
    if (waitMs > 0) throw this.#refused(tooMany(rate, waitMs), caller)
    account.bucket.take(flow, now)
    account.taken++
    return this.#admitted(account, bytesPerDay, signal)
  }

  /** Counts what flows through the socket for the key, until it closes. */
  watch(key: string, socket: Counted): void {
    this.#meter.watch(key, socket)
  }

  /** Keys that are held in memory. */
  get size(): number {
    return this.#accounts.size
  }

  /** What the key has used since midnight UTC, to and from targets. */
  bytesToday(key: string): number {
    return this.#bytes.usedBy(key)
  }

  /** What has come of the keys here since the last report: to be told to the other replicas, once a second. */
  report(): LimitReport {
    const { day } = this.#bytes
    const isSameDay = day === this.#toldDay
    this.#toldDay = day
    const keys: KeyReport[] = []
    for (const [key, account] of this.#accounts) {
      const { taken, flow, underWay } = account
      const bytes = this.#bytes.countedHere(key)
      const takenLately = taken - account.takenTold
      const bytesLately = bytes - (isSameDay ? account.bytesTold : 0)
      account.takenTold = taken
      account.bytesTold = bytes
      if (takenLately === 0 && bytesLately === 0 && underWay === 0) continue
      if (keys.length < MAX_REPORTED) keys.push({ key, taken, takenLately, underWay, bytes, bytesLately, flow })
    }
    return { day, keys }
  }

  /** Another replica tells what came of the keys there; `undefined`: it is gone. */
  hear(teller: Teller, report: LimitReport | undefined): void {
    const now = this.#options.clock.monotonic()
    if (report === undefined) this.#heard.gone(teller.replica)
    else {
      const isToday = report.day === this.#bytes.day
      for (const { key, flow, taken, bytes } of this.#heard.hear(teller, report, now)) {
        const account = this.#accounts.get(key) ?? this.#account(key, flow, now)
        if (taken > 0) account.bucket.take(account.flow, now, taken)
        if (!isToday || bytes === 0) continue
        this.#bytes.countElsewhere(key, bytes)
        this.#endUsedUp(key)
      }
    }
    this.#countElsewhere(now)
  }

  [Symbol.dispose](): void {
    this.#meter[Symbol.dispose]()
    this.#bytes[Symbol.dispose]()
  }

  #admitted(account: Account, bytesPerDay: number, signal: AbortSignal | undefined): Admitted {
    const ending = new AbortController()
    const unlink = signal && onAbort(signal, (reason) => ending.abort(reason))
    let isUnderWay = true
    const land = () => {
      if (isUnderWay) account.underWay--
      isUnderWay = false
    }
    account.underWay++
    account.admitted.set(ending, bytesPerDay)
    account.endsAt = Math.min(account.endsAt, bytesPerDay)
    return {
      signal: ending.signal,
      stands: land,
      [Symbol.dispose]() {
        land()
        unlink?.[Symbol.dispose]()
        account.admitted.delete(ending)
      },
    }
  }

  #count(key: string, bytes: number): void {
    this.#bytes.count(key, bytes)
    this.#endUsedUp(key)
  }

  /** Ends what goes on of the key, if its bytes are used up. */
  #endUsedUp(key: string): void {
    const used = this.#bytes.usedBy(key)
    const account = this.#accounts.get(key)
    if (account === undefined || used < account.endsAt) return
    account.endsAt = Number.POSITIVE_INFINITY
    for (const [ending, most] of account.admitted) {
      if (used >= most) ending.abort(quotaExceeded(this.#bytes.endsInMs))
      else account.endsAt = Math.min(account.endsAt, most)
    }
  }

  #countElsewhere(now: number): void {
    const underWay = this.#heard.underWay(now)
    for (const [key, account] of this.#accounts) account.elsewhere = underWay.get(key) ?? 0
  }

  #account(id: string, flow: Flow, now: number): Account {
    const known = this.#accounts.get(id)
    if (known !== undefined) {
      known.flow = flow
      return known
    }
    if (this.#accounts.size >= this.#sweepAt) this.#forgetIdle(now)
    const account: Account = {
      ...{ bucket: new TokenBucket(flow, now), flow, underWay: 0, elsewhere: 0 },
      ...{ taken: 0, takenTold: 0, bytesTold: this.#bytes.countedHere(id) },
      ...{ admitted: new Map(), endsAt: Number.POSITIVE_INFINITY },
    }
    this.#accounts.set(id, account)
    return account
  }

  /** Keys are revoked and expire, and nobody says so here: one that has nothing under way and a full bucket is as good as new. */
  #forgetIdle(now: number): void {
    for (const [id, { bucket, flow, admitted, elsewhere }] of this.#accounts) {
      if (admitted.size === 0 && elsewhere === 0 && bucket.isFull(flow, now)) this.#accounts.delete(id)
    }
    this.#sweepAt = Math.max(SWEEP_AT, 2 * this.#accounts.size)
  }

  #limitsOf({ limits }: Caller): LimitPolicy {
    const defaults = this.#defaults
    const burst = limits.burst ?? (limits.rate === undefined ? defaults.burst : burstOf(limits.rate))
    return {
      rate: limits.rate ?? defaults.rate,
      burst,
      concurrent: limits.concurrent ?? defaults.concurrent,
      bytesPerDay: limits.bytesPerDay ?? defaults.bytesPerDay,
    }
  }

  #refused(error: CbtorError, { id }: Caller): CbtorError {
    this.#options.onRefused?.(error.code, id)
    return error
  }
}

function tooMany(rate: number, retryAfterMs: number): CbtorError {
  const message = `Cannot take the request: the key may make ${rate} per second in the long run`
  return new CbtorError('rate_limited', message, { retryAfterMs })
}

function tooManyAtOnce(concurrent: number): CbtorError {
  const message = `Cannot take the request: the key may have ${concurrent} under way at a time`
  return new CbtorError('concurrency_limited', message, { retryAfterMs: CONCURRENCY_RETRY_AFTER_MS })
}

function quotaExceeded(retryAfterMs: number): CbtorError {
  const message = 'Cannot go on with the request: the key has used up its bytes for today'
  return new CbtorError('quota_exceeded', message, { retryAfterMs })
}

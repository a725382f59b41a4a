import { CbtorError } from '../domain/errors.ts'
import { onAbort } from '../lib/abort.ts'
import type { Clock } from '../lib/clock.ts'
import type { Trials } from './trials.ts'
import type { StallPhase } from './worker-source.ts'

export interface TrialOptions {
  readonly clock: Clock
  readonly workerId: string
  readonly trials: Trials
  /** Aborts with the fetch. */
  readonly parent: AbortSignal
  /** Whether sending the request twice does no harm. */
  readonly isIdempotent: boolean
  /** How long nothing may happen before the try counts as stalled. */
  readonly stallMs: number
  /** Told once for each stall. */
  onStall(phase: StallPhase): void
  /** Whether another worker may take over now. */
  mayLeave(): boolean
}

/** One try on one worker while it goes on: it ends with the fetch, or when its worker is given up. */
export class Trial implements Disposable {
  readonly workerId: string
  /** By the monotonic clock. */
  readonly startedAt: number
  /** Whether Tor has made the stream. From then on slowness is the target's. */
  hasStream = false
  readonly #options: TrialOptions
  readonly #controller = new AbortController()
  readonly #unlink: Disposable
  #phase: StallPhase | 'over' = 'connect'
  #mayHaveBeenSent = false
  #progressedAt: number
  #isStalled = false
  #watch: Disposable | undefined

  constructor(options: TrialOptions) {
    this.#options = options
    this.workerId = options.workerId
    this.startedAt = options.clock.monotonic()
    this.#progressedAt = this.startedAt
    options.trials.add(this)
    this.#unlink = onAbort(options.parent, (reason) => this.#controller.abort(reason))
    this.#look()
  }

  get signal(): AbortSignal {
    return this.#controller.signal
  }

  /** Whether nothing has happened for too long just now. */
  get isStalled(): boolean {
    return this.#isStalled
  }

  /** Whether the first byte of an answer has come. */
  get isAnswered(): boolean {
    return this.#phase === 'body' || this.#phase === 'over'
  }

  /** A connection is being made: for the first time, or because one that was kept turned out to be dead. */
  connecting(): void {
    this.hasStream = false
    this.#enter('connect')
  }

  /** The stream stands; TLS may follow. */
  streamMade(): void {
    this.hasStream = true
    this.progressed()
  }

  /** From now on a byte of the request may have reached the target. */
  sending(): void {
    this.hasStream = true
    this.#mayHaveBeenSent = true
    this.#enter('first-byte')
  }

  /** The first byte of the answer, or another one, has come. */
  received(): void {
    if (this.#phase !== 'body') this.#enter('body')
    this.progressed()
  }

  /** Nothing more is expected of the worker. */
  over(): void {
    this.#phase = 'over'
    this.#isStalled = false
    this.#watch?.[Symbol.dispose]()
    this.#watch = undefined
  }

  progressed(): void {
    if (this.#phase === 'over') return
    this.#options.trials.progressed(this)
    this.#touch()
  }

  /** Waits up to `ms` for the try to be given up: a worker that dies closes its sockets a moment before anybody knows why. */
  async verdict(ms: number): Promise<void> {
    if (ms > 0) await this.#options.clock.sleep(ms, this.signal).catch(() => {})
  }

  /** What to call it that time was up: `reason` itself only when it was the target that the try waited for. */
  lateness(reason: CbtorError): CbtorError {
    const doubt = this.#options.trials.doubtOf(this.workerId)
    if (doubt !== undefined) {
      const message = `Cannot complete the fetch through worker "${this.workerId}": ${doubt}`
      return new CbtorError('worker_unreachable', message, { cause: reason })
    }
    if (this.hasStream) return reason
    return new CbtorError('tor_timeout', 'Cannot connect to the target: time was up before Tor had made a connection', {
      cause: reason,
    })
  }

  abandon(reason: CbtorError): void {
    this.#controller.abort(reason)
  }

  /** Gives up the worker for another one, if there is one and the request may be sent there. */
  leave(reason: CbtorError): void {
    const mayRepeat = this.#options.isIdempotent || !this.#mayHaveBeenSent
    if (mayRepeat && this.#phase !== 'over' && !this.signal.aborted && this.#options.mayLeave()) this.abandon(reason)
  }

  /** Gives up connecting because it takes too long and another worker is ready. */
  giveUpConnecting(limitMs: number): void {
    const late = `within ${Math.round(limitMs)} ms`
    this.abandon(
      this.hasStream
        ? new CbtorError('tls_failure', `Cannot make a secure connection to the target: no handshake ${late}`)
        : new CbtorError('tor_timeout', `Cannot connect to the target: Tor made no connection ${late}`),
    )
  }

  [Symbol.dispose](): void {
    this.over()
    this.#unlink[Symbol.dispose]()
    this.#options.trials.remove(this)
  }

  /** A phase begins: that is not the worker's progress, but it has its time. */
  #enter(phase: StallPhase): void {
    this.#phase = phase
    this.#touch()
  }

  #touch(): void {
    this.#progressedAt = this.#options.clock.monotonic()
    this.#isStalled = false
    if (this.#watch === undefined) this.#look()
  }

  /** Looks again when a stall would be complete: one timer, not one for each byte. */
  #look(): void {
    const { clock, stallMs } = this.#options
    const quietMs = clock.monotonic() - this.#progressedAt
    if (quietMs < stallMs) {
      this.#watch = clock.timer(stallMs - quietMs, () => this.#look())
      return
    }
    this.#watch = undefined
    if (this.#phase === 'over' || this.signal.aborted) return
    this.#isStalled = true
    this.#options.onStall(this.#phase)
    this.#options.trials.stalled(this)
  }
}

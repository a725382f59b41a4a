import { deadline } from '../lib/abort.ts'
import type { Clock } from '../lib/clock.ts'
import type { Logger } from '../lib/log.ts'
import type { Span } from './span.ts'

export interface SpanExportOptions {
  readonly clock: Clock
  readonly logger: Logger
  /** How long the collector may take. */
  readonly timeoutMs: number
  /** Sends spans, and resolves with the status of the answer. */
  post(spans: readonly Span[], signal: AbortSignal): Promise<number>
}

const EVERY_MS = 5_000
const MAX_BATCH = 512
/** With a collector that is away, the newest ones are dropped. */
const MAX_QUEUE = 2_048
/** At the end of the service nobody waits longer for a collector. */
const LAST_MS = 2_000

/** Sends spans to the collector from time to time. No request ever waits for it; what it does not take is dropped. Dispose it at the end. */
export class SpanExport implements AsyncDisposable {
  readonly #options: SpanExportOptions
  #queue: Span[] = []
  #timer: Disposable | undefined
  #sending: Promise<void> | undefined
  #isAway = false
  #isOver = false
  #dropped = 0

  constructor(options: SpanExportOptions) {
    this.#options = options
  }

  add(span: Span): void {
    if (this.#queue.length >= MAX_QUEUE) {
      this.#dropped++
      return
    }
    this.#queue.push(span)
    if (this.#queue.length >= MAX_BATCH && !this.#isAway) this.#send()
    else this.#timer ??= this.#options.clock.timer(EVERY_MS, () => this.#send())
  }

  async [Symbol.asyncDispose](): Promise<void> {
    this.#isOver = true
    this.#timer?.[Symbol.dispose]()
    await this.#sending
    while (this.#queue.length > 0 && !this.#isAway) await this.#sendOne(LAST_MS)
  }

  #send(): void {
    this.#timer?.[Symbol.dispose]()
    this.#timer = undefined
    // One after the other: a slow collector does not gather them.
    this.#sending ??= this.#sendOne(this.#options.timeoutMs).finally(() => {
      this.#sending = undefined
      if (this.#queue.length > 0 && !this.#isOver)
        this.#timer ??= this.#options.clock.timer(EVERY_MS, () => this.#send())
    })
  }

  async #sendOne(withinMs: number): Promise<void> {
    const { clock, post } = this.#options
    const spans = this.#queue.splice(0, MAX_BATCH)
    using limit = deadline(clock, withinMs, undefined, () => new Error(`no answer within ${withinMs} ms`))
    try {
      const status = await post(spans, limit.signal)
      if (status < 200 || status > 299) throw new Error(`it answered with status ${status}`)
      this.#back()
    } catch (error) {
      this.#dropped += spans.length
      this.#away(error instanceof Error ? error.message : String(error))
    }
  }

  /** Told once, however long it lasts. */
  #away(reason: string): void {
    if (!this.#isAway) this.#options.logger.warn({ reason }, 'traces cannot be sent to the collector')
    this.#isAway = true
  }

  #back(): void {
    if (this.#isAway) this.#options.logger.info({ dropped: this.#dropped }, 'traces are sent to the collector again')
    this.#isAway = false
    this.#dropped = 0
  }
}

import { finished, Readable } from 'node:stream'
import { CbtorError } from '../domain/errors.ts'
import type { FetchRequest } from '../domain/exchange.ts'
import { type Answered, type Arrival, type Ending, endsWithConnection, hasBody } from './ending.ts'
import { abortFailure } from './failure.ts'
import { endToEndHeaders, valuesOf } from './headers.ts'
import { discardBody, tooLarge } from './response-body.ts'

/** What is known when nothing more comes. */
export interface BodyEnd extends Pick<Answered, 'timing' | 'bytes' | 'truncated'> {
  readonly failure: CbtorError | undefined
}

type Streaming = Answered & {
  readonly body: Readable
  readonly bodyLength: number | undefined
  /** Never rejects. */
  readonly bodyEnd: Promise<BodyEnd>
}

type Limits = Pick<FetchRequest, 'maxBytes' | 'allowTruncated' | 'timeoutMs'>

/**
 * Hands the body out as it comes, with its coding: an answer is there with its head, and what goes wrong later nobody can mend. From
 * then on `timeoutMs` bounds each pause of the target and of whoever reads, and no more.
 */
export function streamedBody(limits: Limits): Ending<Streaming> {
  return async (arrival) => {
    const { hop, head, exchange, connection, trial, ledger, clock } = arrival
    const hasOne = hasBody(arrival)
    if (hasOne) checkDeclared(head.headers, limits)
    const delivery = await ledger.delivery(connection)
    trial.signal.throwIfAborted()
    trial.over()
    const answer = {
      url: hop.to.url.href,
      status: head.status,
      statusText: head.statusText,
      headers: endToEndHeaders(head.headers),
      ...delivery,
      timing: ledger.timing(connection, exchange, exchange.answeredAt),
      bytes: { ...ledger.count(connection), decoded: 0 },
      truncated: false,
    }
    const ended = (bytes: number, truncated: boolean, failure: CbtorError | undefined): BodyEnd => ({
      timing: ledger.timing(connection, exchange, clock.monotonic()),
      bytes: { ...ledger.count(connection), decoded: bytes },
      ...{ truncated, failure },
    })
    if (!hasOne) {
      await discardBody(exchange.body, clock)
      const nothing = { body: Readable.from([]), bodyLength: 0 }
      return { answer: { ...answer, ...nothing, bodyEnd: Promise.resolve(ended(0, false, undefined)) } }
    }

    const body = new PassingBody(arrival, limits)
    const bodyEnd = body.over.then((failure) => ended(body.passed, body.isTruncated, failure))
    const over = bodyEnd.then(({ failure, truncated }) => failure === undefined && !truncated)
    const length = declaredLength(head.headers)
    const bodyLength = length === undefined ? undefined : Math.min(length, limits.maxBytes)
    return { answer: { ...answer, body, bodyLength, bodyEnd }, over }
  }
}

function checkDeclared(headers: Arrival['head']['headers'], { maxBytes, allowTruncated }: Limits): void {
  const declared = declaredLength(headers) ?? 0
  if (declared > maxBytes && !allowTruncated) throw tooLarge(maxBytes)
}

function declaredLength(headers: Arrival['head']['headers']): number | undefined {
  const [declared] = valuesOf(headers, 'content-length')
  return declared === undefined || valuesOf(headers, 'transfer-encoding').length > 0 ? undefined : Number(declared)
}

/** What passes from a target to whoever reads: counted, bounded, and never ended as if it were whole when it is not. */
class PassingBody extends Readable {
  passed = 0
  isTruncated = false
  /** Resolves when nothing more passes, with why it is not whole. */
  readonly over: Promise<CbtorError | undefined>
  readonly #arrival: Arrival
  readonly #limits: Limits
  #movedAt: number
  #watch: Disposable

  constructor(arrival: Arrival, limits: Limits) {
    super()
    const { clock, exchange } = arrival
    this.#arrival = arrival
    this.#limits = limits
    this.#movedAt = clock.monotonic()
    this.#watch = clock.timer(limits.timeoutMs, () => this.#look())
    const over = Promise.withResolvers<CbtorError | undefined>()
    this.over = over.promise
    this.on('error', () => {}) // whoever reads may have left
    finished(this, (error) => over.resolve(error ? this.#failure(error) : undefined))
    exchange.body.onFailure((error) => {
      if (!this.isTruncated) this.destroy(error)
    })
    this.read(0) // what has come waits here, whoever reads it
  }

  override _read(): void {
    this.#arrival.exchange.body.next().then(
      ({ done, value }) => {
        if (this.destroyed) return
        if (done) void this.#sourceEnded()
        else this.#pass(value)
      },
      () => {}, // told by onFailure
    )
  }

  override read(size?: number): ReturnType<Readable['read']> {
    const taken = super.read(size)
    if (taken !== null) this.#movedAt = this.#arrival.clock.monotonic()
    return taken
  }

  override _destroy(error: Error | null, done: (error?: Error | null) => void): void {
    this.#watch[Symbol.dispose]()
    this.#arrival.exchange.body.destroy()
    done(error)
  }

  #pass(chunk: Buffer): void {
    const { clock, exchange } = this.#arrival
    const { maxBytes, allowTruncated } = this.#limits
    this.#movedAt = clock.monotonic()
    const room = maxBytes - this.passed
    const fitting = chunk.length <= room ? chunk : chunk.subarray(0, room)
    if (fitting !== chunk && !allowTruncated) {
      this.destroy(tooLarge(maxBytes))
      return
    }
    this.passed += fitting.length
    this.push(fitting)
    if (fitting === chunk) return
    this.isTruncated = true
    exchange.body.destroy()
    this.push(null)
  }

  /** Where only the end of the connection tells the end of the body, the end of the worker must not pass for it. */
  async #sourceEnded(): Promise<void> {
    const { trial, verdictMs } = this.#arrival
    if (endsWithConnection(this.#arrival)) await trial.verdict(verdictMs)
    if (trial.signal.aborted) this.destroy(abortFailure(trial.signal.reason))
    else this.push(null)
  }

  #failure(error: Error): CbtorError {
    const { trial, connection } = this.#arrival
    if (trial.signal.aborted) return abortFailure(trial.signal.reason)
    if (error instanceof CbtorError) return error
    if ('code' in error && error.code === 'ERR_STREAM_PREMATURE_CLOSE') return abortFailure(error)
    return connection.failure(error)
  }

  /** Looks again when a pause would be too long: one timer, not one for each chunk. */
  #look(): void {
    const { clock } = this.#arrival
    const { timeoutMs } = this.#limits
    const restMs = this.#movedAt + timeoutMs - clock.monotonic()
    if (restMs > 0) {
      this.#watch = clock.timer(restMs, () => this.#look())
      return
    }
    const who = this.readableLength > 0 ? 'nobody takes it' : 'the target sends no more of it'
    this.destroy(new CbtorError('timeout', `Cannot pass the body on: ${who}, for ${timeoutMs} ms`))
  }
}

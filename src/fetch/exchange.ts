import type { Dispatcher } from 'undici'
import type { Clock } from '../lib/clock.ts'
import { ExchangeBody } from './exchange-body.ts'
import type { HeaderList } from './headers.ts'

export interface WireRequest {
  readonly method: string
  /** Path and query. */
  readonly path: string
  readonly headers: HeaderList
  readonly body: Uint8Array | undefined
}

export interface ResponseHead {
  readonly status: number
  readonly statusText: string
  /** As received, names in lower case, bytes as ISO 8859-1. */
  readonly headers: HeaderList
}

/**
 * One request and its answer on one connection, as undici tells it. `head` rejects and `body` fails with undici's or
 * the socket's error. Destroying `body` before its end destroys the connection.
 */
export class Exchange implements Dispatcher.DispatchHandler {
  readonly body: ExchangeBody
  /** How far it came: `sent` as soon as a byte may have left, `answered` at the first byte of the answer. */
  progress: 'waiting' | 'sent' | 'answered' = 'waiting'
  /** By the monotonic clock. */
  sentAt = 0
  answeredAt = 0
  readonly #clock: Clock
  readonly #onReceived: () => void
  readonly #head = Promise.withResolvers<ResponseHead>()
  #controller: Dispatcher.DispatchController | undefined

  /** `onReceived` is called whenever something of the answer has come. */
  constructor(clock: Clock, onReceived: () => void) {
    this.#clock = clock
    this.#onReceived = onReceived
    this.body = new ExchangeBody({
      pause: () => this.#controller?.pause(),
      resume: () => this.#controller?.resume(),
      abort: (reason) => this.#controller?.abort(reason),
    })
    this.head.catch(() => {})
  }

  get head(): Promise<ResponseHead> {
    return this.#head.promise
  }

  onRequestStart(controller: Dispatcher.DispatchController): void {
    this.#controller = controller
    this.progress = 'sent'
    this.sentAt = this.#clock.monotonic()
  }

  onRequestSent(): void {
    this.sentAt = this.#clock.monotonic()
  }

  onResponseStarted(): void {
    this.#onReceived()
    if (this.progress === 'answered') return
    this.progress = 'answered'
    this.answeredAt = this.#clock.monotonic()
  }

  onResponseStart(controller: Dispatcher.DispatchController, status: number, _: unknown, statusText = ''): void {
    const isInterim = status < 200
    if (!isInterim) this.#head.resolve({ status, statusText, headers: headerListOf(controller.rawHeaders) })
  }

  onResponseData(_: unknown, chunk: Buffer): void {
    this.#onReceived()
    this.body.push(chunk)
  }

  onResponseEnd(): void {
    this.body.complete()
  }

  onResponseError(_: unknown, error: Error): void {
    this.#head.reject(error)
    this.body.fail(error)
  }
}

/** undici gives names and values in turn, as bytes. */
function headerListOf(raw: Dispatcher.DispatchController['rawHeaders']): HeaderList {
  if (!Array.isArray(raw)) return []
  const list: [string, string][] = []
  for (let at = 0; at + 1 < raw.length; at += 2) list.push([textOf(raw[at]).toLowerCase(), textOf(raw[at + 1])])
  return list
}

function textOf(bytes: Buffer | string = ''): string {
  return typeof bytes === 'string' ? bytes : bytes.toString('latin1')
}

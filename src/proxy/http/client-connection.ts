import type { IncomingMessage, ServerResponse } from 'node:http'
import type { Socket } from 'node:net'
import type { CbtorError } from '../../domain/errors.ts'
import { clientGone } from '../client-bytes.ts'
import type { PortOptions, Served } from '../port.ts'

/** Requests that a client may send ahead of their answers; beyond them it is cut off. */
const MAX_WAITING = 32

interface Incoming {
  readonly request: IncomingMessage
  /** Ends the exchange. */
  readonly stop: AbortController
  /** The client has said that it sends no other. */
  readonly isLast: boolean
}

/**
 * One client's connection: serves its requests one after the other, so that pipelined ones are answered in order and none runs
 * before those in front of it are done, and lets no client take longer than it may for the head of the next.
 */
export class ClientConnection implements Served {
  readonly #socket: Socket
  readonly #options: Pick<PortOptions, 'clock' | 'limits'>
  readonly #onLateHead: () => void
  /** For those who ask: a tunnel, which is most of what comes, has a signal of its own. */
  #gone: AbortController | undefined
  #isGone = false
  #queue: Promise<void> = Promise.resolve()
  #waiting = 0
  #bytesAtRest = 0
  #isDraining = false
  /** No request comes any more: it is a tunnel, or broken. */
  #isHandedOver = false
  #newest: Incoming | undefined
  #headTimer: Disposable | undefined

  /** `onLateHead`: a head has begun and does not end in time. */
  constructor(socket: Socket, options: Pick<PortOptions, 'clock' | 'limits'>, onLateHead: () => void) {
    this.#socket = socket
    this.#options = options
    this.#onLateHead = onLateHead
    socket.on('error', ignore)
    socket.once('close', () => {
      this.#headTimer?.[Symbol.dispose]()
      this.#isGone = true
      this.#gone?.abort(clientGone())
    })
    socket.once('end', () => this.#onEnd())
    this.#awaitHead()
  }

  /** Aborted when the client has left. */
  get signal(): AbortSignal {
    if (this.#gone === undefined) {
      this.#gone = new AbortController()
      if (this.#isGone) this.#gone.abort(clientGone())
    }
    return this.#gone.signal
  }

  get isDraining(): boolean {
    return this.#isDraining
  }

  /**
   * Serves a request when those before it are done; `stop` is aborted when the rest of it turns out to be broken. The
   * connection is busy until `serve` has settled, which must not reject.
   */
  take(request: IncomingMessage, response: ServerResponse, serve: (stop: AbortController) => Promise<void>): void {
    if (this.#isHandedOver) return // its client was told that it came too late
    const stop = new AbortController()
    this.#newest = { request, stop, isLast: !response.shouldKeepAlive }
    this.#enqueue(() => serve(stop))
  }

  /** From here on, and once the requests before it are done, the socket is for `serve`: its bytes, its end, its close. */
  handOver(serve: () => Promise<void> | void): void {
    if (this.#isHandedOver) return
    this.#isHandedOver = true
    this.#enqueue(async () => await serve())
  }

  /** What has come is not HTTP: ends the request whose body it was to be, or lets `tell` say so in its turn. */
  break(problem: CbtorError, tell: () => void): void {
    if (this.#isHandedOver) return
    if (this.#newest?.request.complete !== false) {
      this.handOver(tell)
      return
    }
    this.#newest.stop.abort(problem)
    this.handOver(() => this.#socket.destroySoon())
  }

  drain(): void {
    this.#isDraining = true
    if (this.#waiting === 0) this.#socket.destroySoon()
  }

  #enqueue(serve: () => Promise<void>): void {
    this.#headTimer?.[Symbol.dispose]()
    if (++this.#waiting > MAX_WAITING) {
      this.#socket.destroy()
      return
    }
    this.#queue = this.#queue.then(async () => {
      if (!this.#isGone) await serve()
      this.#waiting--
      if (this.#waiting > 0 || this.#isHandedOver || this.#socket.destroyed) return
      if (this.#isDraining) this.#socket.destroySoon()
      else this.#awaitHead()
    })
  }

  #awaitHead(): void {
    const { clock, limits } = this.#options
    this.#newest = undefined
    // What was read to tell what the client speaks is of the head still.
    this.#bytesAtRest = this.#socket.bytesRead - this.#socket.readableLength
    this.#headTimer = clock.timer(limits.handshakeMs, () => {
      if (this.#socket.bytesRead > this.#bytesAtRest) this.#onLateHead()
      else this.#socket.destroy()
    })
  }

  /**
   * A client that says "this is my last request" and then ends its side waits for the answer. One that was to go on and ends it
   * has left. Nothing else tells: a closed socket and one that is only closed for sending look the same from here.
   */
  #onEnd(): void {
    if (this.#isHandedOver || this.#newest === undefined) return
    if (!this.#newest.isLast) this.#socket.destroy()
  }
}

function ignore(): void {}

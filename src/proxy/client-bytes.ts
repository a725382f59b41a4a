import type { Socket } from 'node:net'
import { CbtorError } from '../domain/errors.ts'
import { safeLength } from './early-data.ts'

/** What a client may send ahead of its tunnel. */
export const MAX_HELD_BYTES = 64 * 1024

/**
 * Reads a client's socket until its tunnel stands: for the handshake, and then to hold what the client sends ahead, and to
 * see at once when it leaves. Ends what is under way by `signal`: with `client_gone`, or with `payload_too_large` when the
 * client sends more ahead than is held.
 */
export class ClientBytes implements Disposable {
  readonly #socket: Socket
  readonly #gone = new AbortController()
  #held: Buffer
  #hasEnded: boolean
  /** Whether the client's end may be the end of what it has to say, rather than of its interest. */
  #hasSentAhead = false
  #isWatching = false
  #wake: () => void = () => {}

  /** `head`: bytes that were read already. Resumes the socket. */
  constructor(socket: Socket, head: Buffer = Buffer.alloc(0)) {
    this.#socket = socket
    this.#held = head
    this.#hasEnded = socket.readableEnded
    socket.on('error', ignore)
    socket.on('data', this.#onData)
    socket.on('end', this.#onEnd)
    socket.on('close', this.#onClose)
    if (socket.destroyed) this.#onClose()
  }

  get signal(): AbortSignal {
    return this.#gone.signal
  }

  /** Whether the client has said that nothing more will come. */
  get hasEnded(): boolean {
    return this.#hasEnded
  }

  /** Exactly `count` bytes. Rejects with the signal's reason, and with `client_gone` when the client ends before them. */
  async read(count: number): Promise<Buffer> {
    while (this.#held.length < count) {
      this.signal.throwIfAborted()
      if (this.#hasEnded) throw clientGone()
      await new Promise<void>((resolve) => {
        this.#wake = resolve
      })
    }
    return this.#take(count)
  }

  /** The same when they are here already, at once; undefined when they are not. */
  readAtOnce(count: number): Buffer | undefined {
    return this.#held.length < count ? undefined : this.#take(count)
  }

  /**
   * The handshake is over: what comes now is for the target. A client that ends without having sent anything for it has
   * left; one that has sent something may just have nothing to add.
   */
  watch(): void {
    this.#isWatching = true
    this.#hasSentAhead = this.#held.length > 0
    if (this.#hasEnded && !this.#hasSentAhead) this.#gone.abort(clientGone())
  }

  /** Ends what is under way, for a reason that is not the client's. */
  giveUp(reason: CbtorError): void {
    this.#gone.abort(reason)
  }

  /** The bytes at the beginning that may be delivered twice; they are taken out. */
  takeSafe(): Buffer {
    return this.#take(safeLength(this.#held))
  }

  /** All that is held. */
  takeAll(): Buffer {
    return this.#take(this.#held.length)
  }

  /** Stops reading and pauses the socket, whose error is still listened for. */
  [Symbol.dispose](): void {
    this.#socket.off('data', this.#onData)
    this.#socket.off('end', this.#onEnd)
    this.#socket.off('close', this.#onClose)
    this.#socket.pause()
    this.#held = Buffer.alloc(0)
  }

  #take(count: number): Buffer {
    const bytes = this.#held.subarray(0, count)
    this.#held = this.#held.subarray(count)
    return bytes
  }

  readonly #onData = (chunk: Buffer): void => {
    this.#held = this.#held.length === 0 ? chunk : Buffer.concat([this.#held, chunk])
    if (this.#isWatching) this.#hasSentAhead = true
    if (this.#held.length > MAX_HELD_BYTES) {
      this.#socket.pause()
      const limit = `the client sent more than ${MAX_HELD_BYTES} bytes before it stood`
      this.#gone.abort(new CbtorError('payload_too_large', `Cannot open the tunnel: ${limit}`))
    }
    this.#wake()
  }

  readonly #onEnd = (): void => {
    this.#hasEnded = true
    if (this.#isWatching && !this.#hasSentAhead) this.#gone.abort(clientGone())
    this.#wake()
  }

  readonly #onClose = (): void => {
    this.#hasEnded = true
    this.#gone.abort(clientGone())
    this.#wake()
  }
}

export function clientGone(): CbtorError {
  return new CbtorError('client_gone', 'Cannot answer: the client closed its connection')
}

function ignore(): void {}

import type { Socket } from 'node:net'
import { Duplex } from 'node:stream'
import { setImmediate as turnOfLoop } from 'node:timers/promises'

/** A ClientHello has some 2 KB, a head seldom more. Beyond, waiting for the target is what takes the time. */
const MAX_EARLY_BYTES = 16 * 1024
/** Whoever is about to write does so within as many turns of the event loop. */
const TURNS_TO_WRITE = 3

/** What waits to be written, and whom to tell when it is. */
interface Held {
  readonly bytes: Buffer
  readonly done: (error?: Error | null) => void
}

/**
 * A stream that can be written to before there is a socket for it. What is written first can be taken and sent ahead, with the
 * request for the socket; all the rest waits until `join` gives it one, and from then on it is that socket. Whoever joins them
 * leaves the socket to the stream: the end of either is the end of both.
 */
export class EarlyStream extends Duplex {
  readonly #written = Promise.withResolvers<void>()
  #held: Held | undefined
  #endHeld: Held['done'] | undefined
  #socket: Socket | undefined
  #hasEnded = false

  constructor() {
    super({ allowHalfOpen: false })
    // Until somebody listens, its failure must not end the process.
    this.on('error', () => {})
  }

  /** What is written first, as much of it as may be sent ahead; it is not written again. Undefined when nothing is, soon. */
  async takeFirst(): Promise<Buffer | undefined> {
    await Promise.race([this.#written.promise, turnsOfLoop(TURNS_TO_WRITE)])
    if (this.#held === undefined) return undefined
    const { bytes, done } = this.#held
    this.#held = { bytes: bytes.subarray(MAX_EARLY_BYTES), done }
    return bytes.subarray(0, MAX_EARLY_BYTES)
  }

  /** To be called once, with a connected socket that nobody reads. */
  join(socket: Socket): void {
    if (this.destroyed) {
      socket.destroy()
      return
    }
    this.#socket = socket
    socket
      .on('data', (chunk) => {
        if (!this.push(chunk)) socket.pause()
      })
      .on('end', () => {
        this.#hasEnded = true
        this.push(null)
      })
      .on('error', (error) => this.destroy(error))
      .on('close', () => {
        if (!this.#hasEnded) this.destroy(cutOff())
      })
    const held = this.#held
    this.#held = undefined
    if (held !== undefined) this.#send(held.bytes, held.done)
    if (this.#endHeld !== undefined) this.#end(this.#endHeld)
  }

  override _read(): void {
    this.#socket?.resume()
  }

  override _write(chunk: Buffer, _encoding: string, done: Held['done']): void {
    this.#send(chunk, done)
  }

  override _writev(chunks: readonly { readonly chunk: Buffer }[], done: Held['done']): void {
    this.#send(Buffer.concat(chunks.map(({ chunk }) => chunk)), done)
  }

  override _final(done: Held['done']): void {
    if (this.#socket === undefined) this.#endHeld = done
    else this.#end(done)
  }

  override _destroy(error: Error | null, done: Held['done']): void {
    this.#written.resolve()
    this.#socket?.destroy()
    done(error)
  }

  #send(bytes: Buffer, done: Held['done']): void {
    if (this.#socket === undefined) {
      this.#held = { bytes, done }
      this.#written.resolve()
    } else if (bytes.length === 0) done()
    else this.#socket.write(bytes, done)
  }

  #end(done: Held['done']): void {
    // One that has ended already has nothing to say any more.
    if (this.#socket?.writable) this.#socket.end(() => done())
    else done()
  }
}

async function turnsOfLoop(count: number): Promise<void> {
  for (let turn = 0; turn < count; turn++) await turnOfLoop()
}

/** As the system says it of a connection that ends in the middle. */
function cutOff(): Error {
  return Object.assign(new Error('The connection was cut off'), { code: 'ECONNRESET' })
}

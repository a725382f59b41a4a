import { once } from 'node:events'
import { createConnection, createServer, type Server, type Socket } from 'node:net'
import { Duplex, pipeline } from 'node:stream'
import type { Clock } from '../../lib/clock.ts'

/** As much as a 20 ms hop carries at 200 MB/s. Past that, the sender has to wait. */
const MAX_BYTES_UNDERWAY = 4 * 1024 * 1024

/**
 * Gives out each chunk, and the end, `delayMs` after it came in. Chunks are delayed side by side, not one behind the
 * other, and keep their order.
 */
export class DelayLine extends Duplex {
  readonly #clock: Clock
  readonly #delayMs: number
  /** `null` is the end. */
  #queue: { readonly chunk: Buffer | null; readonly dueAt: number }[] = []
  #bytes = 0
  #alarm: Disposable | undefined
  #wanted = false
  #blocked: (() => void) | undefined

  constructor(clock: Clock, delayMs: number) {
    super({ allowHalfOpen: true })
    this.#clock = clock
    this.#delayMs = delayMs
  }

  override _write(chunk: Buffer, _encoding: BufferEncoding, done: () => void): void {
    this.#bytes += chunk.length
    this.#enqueue(chunk)
    if (this.#bytes < MAX_BYTES_UNDERWAY) done()
    else this.#blocked = done
  }

  override _final(done: () => void): void {
    this.#enqueue(null)
    done()
  }

  override _read(): void {
    this.#wanted = true
    this.#release()
  }

  override _destroy(error: Error | null, done: (error?: Error | null) => void): void {
    this.#alarm?.[Symbol.dispose]()
    this.#queue = []
    done(error)
  }

  #enqueue(chunk: Buffer | null): void {
    this.#queue.push({ chunk, dueAt: this.#clock.monotonic() + this.#delayMs })
    if (!this.#alarm) this.#release()
  }

  #release(): void {
    this.#alarm?.[Symbol.dispose]()
    this.#alarm = undefined
    const now = this.#clock.monotonic()
    while (this.#wanted) {
      const head = this.#queue[0]
      if (!head) break
      if (head.dueAt > now) {
        this.#alarm = this.#clock.timer(head.dueAt - now, () => this.#release())
        break
      }
      this.#queue.shift()
      this.#bytes -= head.chunk?.length ?? 0
      this.#wanted = this.push(head.chunk)
    }
    if (this.#blocked && this.#bytes < MAX_BYTES_UNDERWAY) {
      const done = this.#blocked
      this.#blocked = undefined
      done()
    }
  }
}

export interface ForwarderOptions {
  readonly clock: Clock
  readonly delayMs: number
  readonly address: string
  readonly listenPort: number
  readonly targetPort: number
}

/** Passes TCP connections on to another port of the same address, each direction `delayMs` late. */
export class LatencyForwarder implements AsyncDisposable {
  readonly #server: Server
  readonly #sockets = new Set<Socket>()

  private constructor(server: Server) {
    this.#server = server
  }

  static async listen(options: ForwarderOptions): Promise<LatencyForwarder> {
    const { clock, delayMs, address, targetPort } = options
    const server = createServer({ allowHalfOpen: true, noDelay: true })
    const forwarder = new LatencyForwarder(server)
    server.on('connection', (client) => {
      const target = createConnection({ host: address, port: targetPort, allowHalfOpen: true, noDelay: true })
      for (const socket of [client, target]) {
        forwarder.#sockets.add(socket)
        socket.on('close', () => forwarder.#sockets.delete(socket))
      }
      // A side that breaks takes the other with it, as a wire would.
      const broken = (error: unknown) => {
        if (!error) return
        client.destroy()
        target.destroy()
      }
      pipeline(client, new DelayLine(clock, delayMs), target, broken)
      pipeline(target, new DelayLine(clock, delayMs), client, broken)
    })
    server.listen(options.listenPort, address)
    await once(server, 'listening')
    return forwarder
  }

  get port(): number {
    const address = this.#server.address()
    return typeof address === 'object' && address ? address.port : 0
  }

  async [Symbol.asyncDispose](): Promise<void> {
    const closed = once(this.#server, 'close')
    this.#server.close()
    for (const socket of this.#sockets) socket.destroy()
    await closed
  }
}

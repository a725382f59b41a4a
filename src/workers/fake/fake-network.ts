import { randomUUID } from 'node:crypto'
import { once } from 'node:events'
import { connect, createServer, type Server, type Socket } from 'node:net'

/** Two connections and what carries bytes between them, so that it can stop doing so. */
interface Pipe {
  readonly near: Socket
  readonly far: Socket
}

/**
 * Connections of a fake worker, both ends of which are here. What lies between them can be held up: then bytes stay where they are,
 * and nobody is told. Over an abstract unix socket, so nothing is left on disk.
 */
export class FakeNetwork implements AsyncDisposable {
  readonly #server: Server = createServer({ allowHalfOpen: true })
  readonly #path = `\0cbtor-fake-${randomUUID()}`
  readonly #sockets = new Set<Socket>()
  readonly #pipes = new Set<Pipe>()
  /** Connections are made one at a time, so that each knows its other end. */
  #joining: Promise<unknown> = Promise.resolve()
  #isHeldUp = false
  #isOver = false

  /** A new connection: the caller's end, and the target's. Rejects once the network is over: listening anew, it would never end. */
  async connect(): Promise<[caller: Socket, target: Socket]> {
    if (this.#isOver) throw new Error('Cannot connect: the network of this worker is over')
    if (!this.#server.listening) await once(this.#server.listen(this.#path), 'listening')
    const joined = this.#joining.then(async () => [await this.#join(), await this.#join()] as const)
    this.#joining = joined
    const [[caller, near], [target, far]] = await joined
    const pipe = { near, far }
    this.#pipes.add(pipe)
    if (!this.#isHeldUp) flow(pipe)
    for (const [one, other] of [
      [near, far],
      [far, near],
    ] as const) {
      one.once('close', () => {
        this.#pipes.delete(pipe)
        // What has come in full may still be on its way to the other side.
        if (one.readableEnded) other.end()
        else other.destroy()
      })
    }
    return [caller, target]
  }

  holdUp(isHeldUp: boolean): void {
    if (isHeldUp === this.#isHeldUp) return
    this.#isHeldUp = isHeldUp
    for (const pipe of this.#pipes) isHeldUp ? halt(pipe) : flow(pipe)
  }

  /** Ends every connection. */
  cut(): void {
    for (const socket of this.#sockets) socket.destroy()
  }

  async [Symbol.asyncDispose](): Promise<void> {
    this.#isOver = true
    this.cut()
    if (this.#server.listening) await once(this.#server.close(), 'close')
  }

  async #join(): Promise<[Socket, Socket]> {
    const one = connect({ path: this.#path, allowHalfOpen: true })
    const [[other]] = (await Promise.all([once(this.#server, 'connection'), once(one, 'connect')])) as [
      [Socket],
      unknown,
    ]
    for (const socket of [one, other]) {
      this.#sockets.add(socket)
      socket.on('error', () => {})
      socket.once('close', () => this.#sockets.delete(socket))
      // It was being made when everything ended, and nobody else would end it.
      if (this.#isOver) socket.destroy()
    }
    return [one, other]
  }
}

function flow({ near, far }: Pipe): void {
  near.pipe(far)
  far.pipe(near)
}

function halt({ near, far }: Pipe): void {
  near.unpipe(far)
  far.unpipe(near)
}

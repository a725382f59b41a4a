import { once } from 'node:events'
import { connect, type Socket } from 'node:net'

/** A connection of the fuzz. What it waits for comes, ends, or is given up after some time. */
export class Connection {
  readonly #socket: Socket
  readonly #onText: (text: string) => void
  /** The other side sends no more, or the socket is gone. */
  isEnded = false
  #wake: (() => void) | undefined

  private constructor(socket: Socket, onText: (text: string) => void) {
    this.#socket = socket
    this.#onText = onText
    socket.setEncoding('latin1')
    socket.on('error', () => {})
    socket.on('data', (text: string) => {
      this.#onText(text)
      this.#wake?.()
    })
    for (const event of ['end', 'close'] as const)
      socket.once(event, () => {
        this.isEnded = true
        this.#wake?.()
      })
  }

  static async open(port: number, onText: (text: string) => void): Promise<Connection> {
    const socket = connect({ port, host: '127.0.0.1', allowHalfOpen: true, noDelay: true })
    const connection = new Connection(socket, onText)
    await once(socket, 'connect')
    return connection
  }

  send(text: string): void {
    if (this.#socket.writable) this.#socket.write(text, 'latin1')
  }

  /** Says no more, and waits until the other side says no more, either. False when that does not come. */
  async finish(limitMs: number): Promise<boolean> {
    if (this.#socket.writable) this.#socket.end()
    const isEnded = await this.until(() => this.isEnded, limitMs)
    this.#socket.destroy()
    return isEnded
  }

  /** Waits for something to be so, or for the end. False when neither comes in time. */
  async until(isSo: () => boolean, limitMs: number): Promise<boolean> {
    const endBy = performance.now() + limitMs
    while (!isSo() && !this.isEnded) {
      const leftMs = endBy - performance.now()
      if (leftMs <= 0) return false
      await new Promise<void>((resolve) => {
        const timer = setTimeout(resolve, leftMs)
        this.#wake = () => {
          clearTimeout(timer)
          resolve()
        }
      })
      this.#wake = undefined
    }
    return true
  }

  destroy(): void {
    this.#socket.destroy()
  }
}

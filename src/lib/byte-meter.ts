import type { Clock } from './clock.ts'

/** What a meter needs of a socket; both counts are of the wire, TLS included. */
export interface Counted {
  readonly bytesRead: number
  readonly bytesWritten: number
  readonly destroyed: boolean
  once(event: 'close', listener: () => void): unknown
}

/** How late it may be told what has flowed. */
const READ_EVERY_MS = 1_000

interface Reading<K> {
  readonly key: K
  read: number
  written: number
}

/** Tells what flows through sockets, read from time to time and once more when they close: it is not in the way of a byte. */
export class ByteMeter<K> implements Disposable {
  readonly #clock: Clock
  readonly #onBytes: (key: K, read: number, written: number) => void
  readonly #readings = new Map<Counted, Reading<K>>()
  #timer: Disposable | undefined

  constructor(clock: Clock, onBytes: (key: K, read: number, written: number) => void) {
    this.#clock = clock
    this.#onBytes = onBytes
  }

  watch(key: K, socket: Counted): void {
    if (this.#readings.has(socket)) return
    this.#readings.set(socket, { key, read: 0, written: 0 })
    this.#read(socket)
    if (socket.destroyed) {
      this.#readings.delete(socket)
      return
    }
    socket.once('close', () => {
      this.#read(socket)
      this.#readings.delete(socket)
    })
    this.#timer ??= this.#clock.timer(READ_EVERY_MS, () => this.#readAll())
  }

  [Symbol.dispose](): void {
    this.#timer?.[Symbol.dispose]()
    for (const socket of this.#readings.keys()) this.#read(socket)
    this.#readings.clear()
  }

  #readAll(): void {
    for (const socket of this.#readings.keys()) this.#read(socket)
    this.#timer = this.#readings.size === 0 ? undefined : this.#clock.timer(READ_EVERY_MS, () => this.#readAll())
  }

  #read(socket: Counted): void {
    const reading = this.#readings.get(socket)
    if (reading === undefined) return
    const { bytesRead, bytesWritten } = socket
    const [read, written] = [bytesRead - reading.read, bytesWritten - reading.written]
    reading.read = bytesRead
    reading.written = bytesWritten
    if (read > 0 || written > 0) this.#onBytes(reading.key, read, written)
  }
}

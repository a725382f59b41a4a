import type { Socket } from 'node:net'

/** An answer, without its body, which is only counted. */
export interface Answer {
  readonly status: number
  readonly bytes: number
  /** By `performance.now()`. */
  readonly firstByteAt: number
}

interface Waiting {
  resolve(answer: Answer): void
  reject(error: Error): void
  onBytes?(count: number): void
}

const HEAD_END = Buffer.from('\r\n\r\n')

/**
 * HTTP/1.1 on one socket, request by request, with as little work as there can be: whoever measures takes time from what is
 * measured. Knows bodies with a length, in chunks, and up to the end of the connection.
 */
export class HttpExchange {
  readonly #socket: Socket
  #waiting: Waiting | undefined
  #head: Buffer | undefined
  #status = 0
  #firstByteAt = 0
  #bytes = 0
  /** Of the body, or of the chunk at hand; infinite up to the end of the connection. */
  #left = 0
  #isChunked = false
  #isInBody = false
  #rest: Buffer | undefined

  constructor(socket: Socket) {
    this.#socket = socket
    socket.on('data', (chunk: Buffer) => this.#take(chunk))
    socket.on('error', (error) => this.#fail(error))
    socket.on('close', () => this.#closed())
  }

  get isOpen(): boolean {
    return !this.#socket.destroyed && !this.#socket.readableEnded
  }

  /** Rejects when the connection ends before the answer does. */
  ask(request: Buffer, onBytes?: (count: number) => void): Promise<Answer> {
    return new Promise((resolve, reject) => {
      if (!this.isOpen) return reject(new Error('the connection is closed'))
      this.#waiting = { resolve, reject, ...(onBytes && { onBytes }) }
      this.#head = undefined
      this.#isInBody = false
      this.#firstByteAt = 0
      this.#bytes = 0
      this.#socket.write(request)
    })
  }

  #take(chunk: Buffer): void {
    if (this.#firstByteAt === 0) this.#firstByteAt = performance.now()
    if (this.#isInBody) {
      this.#body(chunk)
      return
    }
    const head: Buffer = this.#head === undefined ? chunk : Buffer.concat([this.#head, chunk])
    const end = head.indexOf(HEAD_END)
    if (end < 0) {
      this.#head = head
      return
    }
    const text = head.toString('latin1', 0, end).toLowerCase()
    this.#status = Number(text.slice(9, 12))
    const length = /\r\ncontent-length: *(\d+)/.exec(text)?.[1]
    this.#isChunked = /\r\ntransfer-encoding: *chunked/.test(text)
    this.#left = this.#isChunked ? 0 : length === undefined ? Number.POSITIVE_INFINITY : Number(length)
    this.#isInBody = true
    this.#rest = undefined
    this.#body(head.subarray(end + 4))
  }

  #body(chunk: Buffer): void {
    if (this.#isChunked) {
      this.#chunks(chunk)
      return
    }
    this.#count(chunk.length)
    this.#left -= chunk.length
    if (this.#left <= 0) this.#done()
  }

  #chunks(data: Buffer): void {
    let rest: Buffer = this.#rest === undefined ? data : Buffer.concat([this.#rest, data])
    this.#rest = undefined
    for (;;) {
      if (this.#left > 0) {
        // The line end behind a chunk is counted with it.
        const taken = Math.min(this.#left, rest.length)
        this.#count(taken)
        this.#left -= taken
        rest = rest.subarray(taken)
        if (this.#left > 0) return
      }
      const end = rest.indexOf('\r\n')
      if (end < 0) break
      const size = Number.parseInt(rest.toString('latin1', 0, end), 16)
      if (size === 0) {
        // Trailers, if there are any, end with an empty line.
        if (rest.indexOf(HEAD_END, end) < 0) break
        this.#done()
        return
      }
      rest = rest.subarray(end + 2)
      this.#left = size + 2
    }
    this.#rest = rest
  }

  #count(bytes: number): void {
    this.#bytes += bytes
    this.#waiting?.onBytes?.(bytes)
  }

  #done(): void {
    const waiting = this.#waiting
    this.#waiting = undefined
    waiting?.resolve({ status: this.#status, bytes: this.#bytes, firstByteAt: this.#firstByteAt })
  }

  #closed(): void {
    if (this.#isInBody && this.#left === Number.POSITIVE_INFINITY) this.#done()
    this.#fail(new Error('the connection ended before the answer'))
  }

  #fail(error: Error): void {
    const waiting = this.#waiting
    this.#waiting = undefined
    waiting?.reject(error)
  }
}

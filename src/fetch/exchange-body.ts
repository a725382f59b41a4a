/** How much waits for its reader before the target is made to wait. */
const MAX_WAITING_BYTES = 64 * 1024

/** Where a body comes from. */
export interface BodySource {
  pause(): void
  resume(): void
  /** Nobody wants the rest of it. */
  abort(reason: Error): void
}

type Chunk = IteratorResult<Buffer, undefined>

/**
 * The body of an answer, for one reader, who takes it chunk by chunk. It is no stream of Node's because the setting up and ending of
 * one takes longer than all of a short answer. What fails it drops what has not been read yet.
 */
export class ExchangeBody implements AsyncIterableIterator<Buffer, undefined> {
  readonly #source: BodySource
  #waiting: Buffer[] = []
  #waitingBytes = 0
  #isComplete = false
  #failure: Error | undefined
  #reader: PromiseWithResolvers<Chunk> | undefined
  #onFailure: ((error: Error) => void) | undefined

  constructor(source: BodySource) {
    this.#source = source
  }

  /** The next chunk; rejects with why there is none although it is not over. To be called again only when that has settled. */
  next(): Promise<Chunk> {
    if (this.#failure !== undefined) return Promise.reject(this.#failure)
    const value = this.#waiting.shift()
    if (value !== undefined) {
      const wasFull = this.#waitingBytes >= MAX_WAITING_BYTES
      this.#waitingBytes -= value.length
      if (wasFull && this.#waitingBytes < MAX_WAITING_BYTES) this.#source.resume()
      return Promise.resolve({ done: false, value })
    }
    if (this.#isComplete) return Promise.resolve({ done: true, value: undefined })
    this.#reader = Promise.withResolvers()
    return this.#reader.promise
  }

  /** The reader wants no more. */
  async return(): Promise<Chunk> {
    this.destroy()
    return { done: true, value: undefined }
  }

  [Symbol.asyncIterator](): this {
    return this
  }

  /** Ends it, and its connection with it, unless it is all there. */
  destroy(): void {
    if (this.#failure !== undefined || this.#isComplete) return
    const reason = new Error('The rest of the body is not wanted')
    this.fail(reason)
    this.#source.abort(reason)
  }

  /** Calls `listener` once it fails, which a reader learns otherwise only when it takes the next chunk. */
  onFailure(listener: (error: Error) => void): void {
    if (this.#failure !== undefined) listener(this.#failure)
    else this.#onFailure = listener
  }

  /** To be called by the source, as are the next two. */
  push(chunk: Buffer): void {
    if (this.#failure !== undefined) return
    const reader = this.#takeReader()
    if (reader !== undefined) {
      reader.resolve({ done: false, value: chunk })
      return
    }
    const wasFull = this.#waitingBytes >= MAX_WAITING_BYTES
    this.#waiting.push(chunk)
    this.#waitingBytes += chunk.length
    if (!wasFull && this.#waitingBytes >= MAX_WAITING_BYTES) this.#source.pause()
  }

  complete(): void {
    this.#isComplete = true
    this.#takeReader()?.resolve({ done: true, value: undefined })
  }

  fail(error: Error): void {
    if (this.#failure !== undefined || this.#isComplete) return
    this.#failure = error
    this.#waiting = []
    this.#takeReader()?.reject(error)
    this.#onFailure?.(error)
  }

  #takeReader(): PromiseWithResolvers<Chunk> | undefined {
    const reader = this.#reader
    this.#reader = undefined
    return reader
  }
}

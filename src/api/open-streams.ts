import type { ServerResponse } from 'node:http'
import { CbtorError } from '../domain/errors.ts'

/** Streams of one caller at a time: each takes a connection for as long as it likes, and there are not many of these. */
const MAX_STREAMS = 32
const RETRY_AFTER_MS = 1_000

/** The streams of events that are open, of whatever kind. */
export class OpenStreams {
  readonly #byCaller = new Map<string, number>()
  readonly #closing = new AbortController()

  /** Aborts when the API closes. */
  get closing(): AbortSignal {
    return this.#closing.signal
  }

  close(): void {
    this.#closing.abort()
  }

  /** Counts one more of the caller, until its response closes. Throws `concurrency_limited` when it has as many as it may. */
  count(caller: string, response: ServerResponse): void {
    const open = this.#byCaller.get(caller) ?? 0
    if (open >= MAX_STREAMS) {
      const message = `Cannot send events: the key has ${MAX_STREAMS} streams of them already`
      throw new CbtorError('concurrency_limited', message, { retryAfterMs: RETRY_AFTER_MS })
    }
    this.#byCaller.set(caller, open + 1)
    response.once('close', () => {
      const left = (this.#byCaller.get(caller) ?? 1) - 1
      if (left === 0) this.#byCaller.delete(caller)
      else this.#byCaller.set(caller, left)
    })
  }
}

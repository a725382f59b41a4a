import { abortable } from '../lib/abort.ts'

/** Lets those who want the same thing have it one after the other. */
export class Turns<K> {
  readonly #last = new Map<K, Promise<unknown>>()

  /** Settles as `work` does, which begins when all that asked before have settled. Rejects with the signal's reason. */
  async take<T>(key: K, work: () => Promise<T>, signal: AbortSignal): Promise<T> {
    const before = this.#last.get(key) ?? Promise.resolve()
    const done = Promise.withResolvers<void>()
    const turn = before.then(() => done.promise)
    this.#last.set(key, turn)
    try {
      await abortable(before, signal)
      return await work()
    } finally {
      done.resolve()
      if (this.#last.get(key) === turn) this.#last.delete(key)
    }
  }
}

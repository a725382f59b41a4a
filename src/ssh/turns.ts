import { onAbort } from '../lib/abort.ts'

interface Waiter {
  readonly turn: PromiseWithResolvers<Disposable>
}

/** One at a time, in the order of asking. */
export class Turns {
  readonly #waiters: Waiter[] = []
  #isTaken = false
  #closedBy: Error | undefined

  /** How many wait, without the one whose turn it is. */
  get waiting(): number {
    return this.#waiters.length
  }

  /** Resolves when it is the caller's turn, which lasts until disposed. Rejects with the signal's reason, or with `close`'s. */
  async take(signal: AbortSignal): Promise<Disposable> {
    signal.throwIfAborted()
    if (this.#closedBy) throw this.#closedBy
    if (!this.#isTaken) return this.#give()
    const waiter: Waiter = { turn: Promise.withResolvers<Disposable>() }
    this.#waiters.push(waiter)
    using _ = onAbort(signal, (reason) => {
      const place = this.#waiters.indexOf(waiter)
      if (place === -1) return
      this.#waiters.splice(place, 1)
      waiter.turn.reject(reason)
    })
    return await waiter.turn.promise
  }

  /** Nobody gets a turn any more: those who wait, and those who ask later, are rejected with `reason`. */
  close(reason: Error): void {
    this.#closedBy ??= reason
    for (const waiter of this.#waiters.splice(0)) waiter.turn.reject(reason)
  }

  #give(): Disposable {
    this.#isTaken = true
    let isOver = false
    return {
      [Symbol.dispose]: () => {
        if (isOver) return
        isOver = true
        const next = this.#waiters.shift()
        if (next) next.turn.resolve(this.#give())
        else this.#isTaken = false
      },
    }
  }
}

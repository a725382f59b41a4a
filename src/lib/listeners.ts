/** Those who want to be told of something. A listener that throws does not stop the next one. */
export class Listeners<T> {
  readonly #onError: (error: unknown) => void
  readonly #entries = new Set<{ readonly call: (value: T) => void }>()

  constructor(onError: (error: unknown) => void) {
    this.#onError = onError
  }

  /** Calls `listener` at each `notify` until disposed. Added twice, it is called twice. */
  add(listener: (value: T) => void): Disposable {
    const entry = { call: listener }
    this.#entries.add(entry)
    return { [Symbol.dispose]: () => void this.#entries.delete(entry) }
  }

  /** Calls those who listen now, in the order in which they were added; one that is disposed meanwhile is left out. */
  notify(value: T): void {
    for (const entry of [...this.#entries]) {
      if (!this.#entries.has(entry)) continue
      try {
        entry.call(value)
      } catch (error) {
        this.#onError(error)
      }
    }
  }
}

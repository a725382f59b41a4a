/** The newest `size` spans of `spanMs` each, and what is kept of each of them. Takes the time from whoever asks. */
export class TimeRing<T> {
  readonly #spanMs: number
  readonly #buckets: readonly T[]
  readonly #clear: (bucket: T) => void
  /** The number of the newest span, counted from time 0. */
  #newest: number | undefined

  constructor(options: { readonly spanMs: number; readonly size: number; make(): T; clear(bucket: T): void }) {
    this.#spanMs = options.spanMs
    this.#buckets = Array.from({ length: options.size }, () => options.make())
    this.#clear = (bucket) => options.clear(bucket)
  }

  /** What is kept of the span that `at` is in. */
  at(at: number): T {
    return this.#bucket(this.#moveTo(at))
  }

  /** All spans up to the one that `at` is in, the oldest first, with when each began. */
  spans(at: number): { readonly at: number; readonly bucket: T }[] {
    const newest = this.#moveTo(at)
    return this.#buckets.map((_, index) => {
      const number = newest - this.#buckets.length + 1 + index
      return { at: number * this.#spanMs, bucket: this.#bucket(number) }
    })
  }

  /** What `value` makes of all of them, added up. */
  sum(at: number, value: (bucket: T) => number): number {
    this.#moveTo(at)
    let sum = 0
    for (const bucket of this.#buckets) sum += value(bucket)
    return sum
  }

  /** How long the spans are that `spans` has, of which the newest is not over. */
  coveredMs(at: number): number {
    return (this.#buckets.length - 1) * this.#spanMs + (at - Math.floor(at / this.#spanMs) * this.#spanMs)
  }

  /** Forgets what has become too old; all of it where the clock was set back, or nothing would be told until it has caught up. */
  #moveTo(at: number): number {
    const number = Math.floor(at / this.#spanMs)
    const size = this.#buckets.length
    const last = this.#newest ?? number
    this.#newest = number
    const passed = number < last ? size : Math.min(number - last, size)
    for (let back = 0; back < passed; back++) this.#clear(this.#bucket(number - back))
    return number
  }

  #bucket(number: number): T {
    const size = this.#buckets.length
    return this.#buckets[((number % size) + size) % size] as T
  }
}

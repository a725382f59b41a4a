/** How many of the newest are looked at. */
const CAPACITY = 256
/** Fewer tell nothing about the slowest twentieth. */
const ENOUGH = 20

/** How long the last answers took, and what is slow by that measure. */
export class Latencies {
  readonly #newest: number[] = []
  #next = 0

  add(ms: number): void {
    this.#newest[this.#next] = ms
    this.#next = (this.#next + 1) % CAPACITY
  }

  /** The time that 95 of 100 do not exceed; undefined while too few are known. */
  p95(): number | undefined {
    if (this.#newest.length < ENOUGH) return undefined
    const sorted = this.#newest.toSorted((a, b) => a - b)
    return sorted[Math.ceil(sorted.length * 0.95) - 1]
  }
}

/** The latest so many latencies. Its memory does not grow. */
export class LatencyWindow {
  readonly #size: number
  readonly #latencies: number[] = []
  #added = 0

  constructor(size: number) {
    this.#size = size
  }

  get count(): number {
    return this.#latencies.length
  }

  add(ms: number): void {
    this.#latencies[this.#added % this.#size] = ms
    this.#added += 1
  }

  /** By nearest rank: the smallest value that at least `share` of all values do not exceed. Undefined while there is none. */
  percentile(share: number): number | undefined {
    const sorted = this.#latencies.toSorted((a, b) => a - b)
    return sorted[Math.ceil(share * sorted.length) - 1]
  }
}

/** Each step is a tenth more than the one before: a percentile is right to a twentieth. */
const RATIO = 1.1
const LOG_RATIO = Math.log(RATIO)
/** 1.1 to the 140th milliseconds are ten minutes; what takes longer counts as that. */
const STEPS = 140

/** How long many things took, counted in steps: what it takes in memory does not grow. */
export class LatencyCounts {
  readonly #counts = new Uint32Array(STEPS)
  #total = 0

  add(ms: number): void {
    const step = ms <= 1 ? 0 : Math.min(STEPS - 1, Math.ceil(Math.log(ms) / LOG_RATIO))
    this.#counts[step] = (this.#counts[step] ?? 0) + 1
    this.#total++
  }

  addAll(other: LatencyCounts): void {
    if (other.#total === 0) return
    for (let step = 0; step < STEPS; step++) this.#counts[step] = (this.#counts[step] ?? 0) + (other.#counts[step] ?? 0)
    this.#total += other.#total
  }

  clear(): void {
    if (this.#total > 0) this.#counts.fill(0)
    this.#total = 0
  }

  /** The latency that this share of all was not above; undefined when there are none. */
  percentile(share: number): number | undefined {
    if (this.#total === 0) return undefined
    let left = Math.max(1, Math.ceil(share * this.#total))
    for (let step = 0; step < STEPS; step++) {
      left -= this.#counts[step] ?? 0
      if (left <= 0) return middleOf(step)
    }
    return middleOf(STEPS - 1)
  }
}

/** The geometric middle of a step's bounds. */
function middleOf(step: number): number {
  return RATIO ** (step - 0.5)
}

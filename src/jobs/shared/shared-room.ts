import type { Clock } from '../../lib/clock.ts'
import type { JobLedger } from './job-ledger.ts'

export interface SharedRoomOptions {
  readonly clock: Clock
  readonly ledger: Pick<JobLedger, 'makeRoom'>
  /** What is kept at most, about. */
  readonly maxBytes: number
  onBug(error: unknown): void
}

const REMOVALS_AT_ONCE = 8
const ROUNDS = 8
const LATER_MS = 250
/** Some more than must be, so that not every answer has to push out another one. */
const GOAL = 0.95

/** Room for what is kept of jobs: what is oldest goes, of whom most is kept. */
export class SharedRoom implements Disposable {
  readonly #options: SharedRoomOptions
  #maxBytes: number
  #later: Disposable | undefined

  constructor(options: SharedRoomOptions) {
    this.#options = options
    this.#maxBytes = options.maxBytes
  }

  get maxBytes(): number {
    return this.#maxBytes
  }

  reconfigure(maxBytes: number): void {
    this.#maxBytes = maxBytes
    this.makeLater()
  }

  /** Removes what may go until so much fits in, or some of it. */
  async make(bytes: number): Promise<void> {
    const goal = this.#maxBytes * GOAL - bytes
    for (let n = 0; n < ROUNDS; n++) {
      const left = await this.#options.ledger.makeRoom(goal, REMOVALS_AT_ONCE)
      if (left.bytes <= goal || !left.isMore) return
    }
  }

  /** Something was written down. */
  makeLater(): void {
    const { clock, onBug } = this.#options
    this.#later ??= clock.timer(LATER_MS, () => {
      this.#later = undefined
      this.#makeSome().catch(onBug)
    })
  }

  [Symbol.dispose](): void {
    this.#later?.[Symbol.dispose]()
  }

  async #makeSome(): Promise<void> {
    const { ledger } = this.#options
    if ((await ledger.makeRoom(this.#maxBytes, 0)).bytes <= this.#maxBytes) return
    const left = await ledger.makeRoom(this.#maxBytes * GOAL, REMOVALS_AT_ONCE)
    if (left.bytes > this.#maxBytes * GOAL && left.isMore) this.makeLater()
  }
}

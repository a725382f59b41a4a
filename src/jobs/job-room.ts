import type { Clock } from '../lib/clock.ts'
import type { JobStore } from './job-store.ts'

export interface JobRoomOptions {
  readonly clock: Clock
  readonly store: JobStore
  /** What is kept at most, about. */
  readonly maxBytes: number
  onBug(error: unknown): void
}

/** So much is removed at one go, in which nobody else is served; and the rest after a pause. */
const REMOVALS_AT_ONCE = 8
const REMOVES_AGAIN_MS = 250
/** Some more than must be, so that not every answer has to push out another one. */
const GOAL = 0.95

/** Room for what is kept of jobs: what is oldest goes, of whom most is kept. Dispose it to remove no more. */
export class JobRoom implements Disposable {
  readonly #options: JobRoomOptions
  #maxBytes: number
  #later: Disposable | undefined

  constructor(options: JobRoomOptions) {
    this.#options = options
    this.#maxBytes = options.maxBytes
  }

  /** What is too much from now on goes. */
  reconfigure(maxBytes: number): void {
    this.#maxBytes = maxBytes
    this.make()
  }

  /** Whether there is room for so much, once some has been removed; the rest of what may be is removed later. */
  has(bytes: number): boolean {
    const { store, clock } = this.#options
    const maxBytes = this.#maxBytes
    if (store.bytes() + bytes <= maxBytes) return true
    const goal = Math.max(0, maxBytes * GOAL - bytes)
    let isFreed = true
    for (let n = 0; n < REMOVALS_AT_ONCE && isFreed && store.bytes() > goal; n++) isFreed = this.#removeSome()
    if (isFreed && store.bytes() > goal)
      this.#later ??= clock.timer(REMOVES_AGAIN_MS, () => {
        this.#later = undefined
        this.make(bytes)
      })
    return store.bytes() + bytes <= maxBytes
  }

  /** Something was written down, or soon will be. */
  make(bytes = 0): void {
    try {
      this.has(bytes)
    } catch (error) {
      this.#options.onBug(error)
    }
  }

  [Symbol.dispose](): void {
    this.#later?.[Symbol.dispose]()
  }

  /** Bodies of answers, or a job that has ended. False when there is nothing left to remove. */
  #removeSome(): boolean {
    const { store } = this.#options
    return (
      store.ownersBySize().some((owner) => store.dropOldestBodies(owner) > 0) ||
      store.ownersBySize().some((owner) => store.removeOldestEnded(owner))
    )
  }
}

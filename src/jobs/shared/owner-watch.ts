import type { Clock } from '../../lib/clock.ts'
import type { JobCallers } from '../jobs.ts'

export interface OwnerWatchOptions {
  readonly clock: Clock
  readonly callers: JobCallers
  /** The caller is none any more. */
  onGone(owner: string): void
  /** Nothing of it is to be left. */
  remove(owner: string): Promise<void>
}

/** Keys that others made may not be known here yet. */
const DOUBT_MS = 60_000

/** A caller that is none any more leaves no jobs. Whom this replica does not know at all may be one that it has yet to hear of. */
export class OwnerWatch implements Disposable {
  readonly #options: OwnerWatchOptions
  readonly #watched = new Map<string, Disposable>()

  constructor(options: OwnerWatchOptions) {
    this.#options = options
  }

  watch(owner: string): void {
    if (this.#watched.has(owner)) return
    const { clock, callers, onGone, remove } = this.#options
    let isUnknown = true
    const listening = callers.onGone(owner, () => {
      this.#watched.delete(owner)
      if (!isUnknown) {
        onGone(owner)
        void remove(owner)
        return
      }
      isUnknown = false
      const later = clock.timer(DOUBT_MS, () => {
        this.#watched.delete(owner)
        if (callers.find(owner) === undefined) void remove(owner)
      })
      this.#watched.set(owner, later)
    })
    if (isUnknown) this.#watched.set(owner, listening)
    isUnknown = false
  }

  [Symbol.dispose](): void {
    for (const each of this.#watched.values()) each[Symbol.dispose]()
  }
}

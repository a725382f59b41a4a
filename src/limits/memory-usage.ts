import type { UsageStore } from './usage-store.ts'

/** For tests, and for a service that keeps nothing. */
export class MemoryUsage implements UsageStore {
  #day = ''
  readonly #bytes = new Map<string, number>()

  usageOn(day: string): ReadonlyMap<string, number> {
    return day === this.#day ? new Map(this.#bytes) : new Map()
  }

  setUsage(day: string, bytes: ReadonlyMap<string, number>): void {
    if (day !== this.#day) this.#bytes.clear()
    this.#day = day
    for (const [id, count] of bytes) this.#bytes.set(id, count)
  }
}

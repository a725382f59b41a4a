import type { Clock } from '../lib/clock.ts'
import { isRecord, type Json } from '../lib/json.ts'
import type { Registers } from './registers.ts'
import type { WriteOptions } from './shared-registers.ts'

interface UsageRegisters extends Pick<Registers, 'entries'> {
  set(name: string, value: Json | undefined, options?: WriteOptions): void
}

const KEPT_MS = 2 * 86_400_000

/**
 * The bytes of a day by key. Every run of a replica has a register of its own, which only it writes, and the sum of all is what was
 * used: so nothing is lost when two count at the same time, and nothing is counted twice when one is told again.
 */
export class SharedUsage {
  readonly #registers: UsageRegisters
  readonly #clock: Clock
  readonly #name: string
  #day: string | undefined
  readonly #own = new Map<string, number>()
  /** What who counts has come to, with what it was told at its start: what is beyond is this run's. */
  readonly #told = new Map<string, number>()
  #hasTold = false

  constructor(registers: UsageRegisters, clock: Clock, run: string) {
    this.#registers = registers
    this.#clock = clock
    this.#name = `usage/${run}`
  }

  /** By all replicas. Who counts asks once, at its start, and counts on from there. */
  usageOn(day: string): ReadonlyMap<string, number> {
    const sums = new Map<string, number>()
    for (const [, value] of this.#registers.entries('usage')) {
      if (!isRecord(value) || value.day !== day || !isRecord(value.bytes)) continue
      for (const [key, bytes] of Object.entries(value.bytes))
        if (typeof bytes === 'number') sums.set(key, (sums.get(key) ?? 0) + bytes)
    }
    if (!this.#hasTold) {
      this.#turnTo(day)
      for (const [key, bytes] of sums) this.#told.set(key, bytes)
    }
    this.#hasTold = true
    return sums
  }

  setUsage(day: string, bytes: ReadonlyMap<string, number>): void {
    this.#turnTo(day)
    const more = new Map<string, number>()
    for (const [key, sum] of bytes) {
      more.set(key, Math.max(0, sum - (this.#told.get(key) ?? 0)))
      this.#told.set(key, sum)
    }
    this.addUsage(day, more)
  }

  addUsage(day: string, bytes: ReadonlyMap<string, number>): void {
    this.#turnTo(day)
    this.#hasTold = true
    const more = [...bytes].filter(([, count]) => count > 0)
    if (more.length === 0) return
    for (const [key, count] of more) this.#own.set(key, (this.#own.get(key) ?? 0) + count)
    const until = this.#clock.now() + KEPT_MS
    this.#registers.set(this.#name, { day, bytes: Object.fromEntries(this.#own) }, { until })
  }

  #turnTo(day: string): void {
    if (this.#day === day) return
    this.#day = day
    this.#own.clear()
    this.#told.clear()
  }
}

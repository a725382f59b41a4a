import type { Clock } from '../lib/clock.ts'
import { isoTime } from '../lib/iso-time.ts'
import type { UsageStore } from './usage-store.ts'

export interface DayBytesOptions {
  readonly clock: Clock
  readonly store?: UsageStore | undefined
}

const DAY_MS = 24 * 60 * 60 * 1_000
/** What a crash may forget, and how often the store is written at most. */
const SAVE_EVERY_MS = 10_000

/**
 * How many bytes each key has used since midnight UTC: here, as far as the store remembers, and by what other replicas tell. Dispose
 * it to have the rest written down.
 */
export class DayBytes implements Disposable {
  readonly #options: DayBytesOptions
  #day: string
  /** When the next day begins. */
  #turnsAt: number
  /** Without what was told since the start. */
  #used: Map<string, number>
  /** What the store knew at the start. */
  #before: ReadonlyMap<string, number>
  /** What other replicas have told since the start. */
  #elsewhere = new Map<string, number>()
  readonly #unsaved = new Set<string>()
  #timer: Disposable | undefined

  constructor(options: DayBytesOptions) {
    this.#options = options
    const now = options.clock.now()
    this.#day = dayOf(now)
    this.#turnsAt = nextMidnight(now)
    this.#before = options.store?.usageOn(this.#day) ?? new Map()
    this.#used = new Map(this.#before)
  }

  /** How long until the next midnight, when everybody begins anew. */
  get endsInMs(): number {
    const now = this.#options.clock.now()
    return nextMidnight(now) - now
  }

  usedBy(id: string): number {
    this.#turn()
    return (this.#used.get(id) ?? 0) + (this.#elsewhere.get(id) ?? 0)
  }

  /** What came of it here, since the start of the service or of the day. */
  countedHere(id: string): number {
    this.#turn()
    return (this.#used.get(id) ?? 0) - (this.#before.get(id) ?? 0)
  }

  get day(): string {
    this.#turn()
    return this.#day
  }

  /** Another replica has counted them: it writes them down itself. */
  countElsewhere(id: string, bytes: number): void {
    this.#turn()
    if (bytes > 0) this.#elsewhere.set(id, (this.#elsewhere.get(id) ?? 0) + bytes)
  }

  count(id: string, bytes: number): void {
    if (bytes <= 0) return
    this.#turn()
    this.#used.set(id, (this.#used.get(id) ?? 0) + bytes)
    this.#unsaved.add(id)
    if (this.#options.store === undefined || this.#timer !== undefined) return
    this.#timer = this.#options.clock.timer(SAVE_EVERY_MS, () => this.#save())
  }

  [Symbol.dispose](): void {
    this.#save()
  }

  #turn(): void {
    const now = this.#options.clock.now()
    // A wall clock that is set back must not give a day's bytes anew.
    if (now < this.#turnsAt) return
    this.#day = dayOf(now)
    this.#turnsAt = nextMidnight(now)
    this.#used = new Map()
    this.#before = new Map()
    this.#elsewhere = new Map()
    this.#unsaved.clear()
  }

  #save(): void {
    this.#timer?.[Symbol.dispose]()
    this.#timer = undefined
    if (this.#unsaved.size === 0) return
    const changed = new Map([...this.#unsaved].map((id) => [id, this.#used.get(id) ?? 0]))
    this.#unsaved.clear()
    this.#options.store?.setUsage(this.#day, changed)
  }
}

function nextMidnight(now: number): number {
  return now - (now % DAY_MS) + DAY_MS
}

function dayOf(now: number): string {
  return isoTime(now).slice(0, 10)
}

import type { Clock } from '../lib/clock.ts'

/** 2200-01-01. What is later is no instant of anybody's: every replica refuses it, whatever its own clock says. */
const LATEST_MS = 7_258_118_400_000
const DAY_MS = 86_400_000
const MOST_IN_ONE_MS = 2 ** 32 - 1
const MS_DIGITS = 12
const COUNT_DIGITS = 8
const INSTANT = new RegExp(`^[0-9a-f]{${MS_DIGITS + COUNT_DIGITS}}(?:[0-9a-f]{2})+$`)

/**
 * A hybrid logical clock (Kulkarni et al., "Logical Physical Clocks", 2014): its instants are near the time of day, no two are
 * alike, and what was written by who had seen another write is later than that, whatever the machines' clocks say.
 *
 * An instant is a text: 12 hex digits of milliseconds, 8 of a count within them, and the hex of the replica's run, which decides
 * between replicas. Texts compare as instants do; digits and small letters do so in every locale, since the store compares them too.
 *
 * Clocks may be wrong by hours. As long as the store answers, all count by its clock; without it, by how much time has gone since.
 * Of a replica that has never asked, the instants may be far ahead: they are taken, and everybody's go on from there. To refuse
 * them would part the replicas, as each refuses by its own clock; and to take them without going on from there would let the next
 * order of an operator, who has seen that write, lose against it. What it costs is that writes that did not see one another are
 * then put in order by count rather than by time. Only what no clock can mean is refused, and by all alike.
 */
export class HybridClock {
  readonly #clock: Clock
  readonly #run: string
  #ms = 0
  #count = 0
  /** The store's time less ours, by the clock that is never set. */
  #ahead: number | undefined

  constructor(clock: Clock, run: string) {
    this.#clock = clock
    this.#run = Buffer.from(run).toString('hex')
  }

  /** Epoch ms: the store's, as far as is known. */
  now(): number {
    return this.#ahead === undefined ? this.#clock.now() : this.#clock.monotonic() + this.#ahead
  }

  /** The store has just said what time it is. */
  follow(storeNow: number): void {
    this.#ahead = storeNow - this.#clock.monotonic()
  }

  /** Later than all that it has given or heard. */
  next(): string {
    const now = Math.min(Math.max(Math.floor(this.now()), 0), LATEST_MS - DAY_MS)
    if (now > this.#ms) this.#set(now, 0)
    else if (this.#count < MOST_IN_ONE_MS) this.#count += 1
    else this.#set(this.#ms + 1, 0)
    return hex(this.#ms, MS_DIGITS) + hex(this.#count, COUNT_DIGITS) + this.#run
  }

  /** Goes on from there. `instant`: one that `isInstant`. */
  hear(instant: string): void {
    const ms = Number.parseInt(instant.slice(0, MS_DIGITS), 16)
    const count = Number.parseInt(instant.slice(MS_DIGITS, MS_DIGITS + COUNT_DIGITS), 16)
    if (ms > this.#ms || (ms === this.#ms && count > this.#count)) this.#set(ms, count)
  }

  #set(ms: number, count: number): void {
    this.#ms = ms
    this.#count = count
  }
}

export function isInstant(text: string): boolean {
  return INSTANT.test(text) && Number.parseInt(text.slice(0, MS_DIGITS), 16) <= LATEST_MS
}

function hex(value: number, digits: number): string {
  return value.toString(16).padStart(digits, '0')
}

import type { Clock } from '../../lib/clock.ts'

interface Hold {
  readonly until: number
  /** How many have been told. */
  told: number
}

/** Between those who are told to come back, so that not all come at once. */
const SPREAD_MS = 25

/** Who may begin nothing for a while, since this service would refuse it anyway. */
export class Holds {
  readonly #clock: Clock
  readonly #owners = new Map<string, Hold>()

  constructor(clock: Clock) {
    this.#clock = clock
  }

  hold(owner: string, until: number): void {
    if (until > (this.#owners.get(owner)?.until ?? 0)) this.#owners.set(owner, { until, told: 0 })
  }

  /** When to come back, each time a little later; undefined when nothing is held. */
  until(owner: string): number | undefined {
    const own = this.#owners.get(owner)
    if (own === undefined) return undefined
    if (own.until > this.#clock.now()) return own.until + SPREAD_MS * own.told++
    this.#owners.delete(owner)
    return undefined
  }
}

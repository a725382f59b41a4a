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
  #all: Hold = { until: 0, told: 0 }

  constructor(clock: Clock) {
    this.#clock = clock
  }

  hold(owner: string, until: number): void {
    if (until > (this.#owners.get(owner)?.until ?? 0)) this.#owners.set(owner, { until, told: 0 })
  }

  holdAll(until: number): void {
    if (until > this.#all.until) this.#all = { until, told: 0 }
  }

  /** When to come back, each time a little later; undefined when nothing is held. */
  until(owner: string): number | undefined {
    const now = this.#clock.now()
    const own = this.#owners.get(owner)
    if (own !== undefined && own.until <= now) this.#owners.delete(owner)
    const [hold] = [own, this.#all].filter((each) => each !== undefined && each.until > now).sort(byUntil)
    return hold === undefined ? undefined : hold.until + SPREAD_MS * hold.told++
  }
}

/** The longest first. */
function byUntil(a: Hold | undefined, b: Hold | undefined): number {
  return (b?.until ?? 0) - (a?.until ?? 0)
}

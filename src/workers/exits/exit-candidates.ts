import { CbtorError } from '../../domain/errors.ts'
import type { ExitDemand } from '../../domain/identity.ts'
import type { Clock } from '../../lib/clock.ts'
import { type ExitMinimum, inWords, isInPlace, type Place, requireEnough, tooFew, unrelatedTo } from './exit-choice.ts'
import type { ExitDirectory, ExitList } from './exit-directory.ts'
import type { DescribedExit } from './exit-relay.ts'

/** Descriptors that Tor did not have may have come since. */
const KEPT_MS = 60_000
const MAX_KEPT = 256

export interface ExitCandidatesOptions {
  /** The worker's id, for messages. */
  readonly worker: string
  readonly directory: ExitDirectory
  readonly minimum: ExitMinimum
  readonly clock: Clock
}

/** The exits that satisfy a demand. Those of a place and port are worked out once for all who ask within a minute. */
export class ExitCandidates {
  readonly #options: ExitCandidatesOptions
  readonly #kept = new Map<string, { readonly exits: readonly DescribedExit[]; readonly at: number }>()
  #list: ExitList | undefined

  constructor(options: ExitCandidatesOptions) {
    this.#options = options
  }

  /**
   * At least one. Builds no circuit. Rejects with `no_exit_for_country_port`, with `exit_rule_unsupported` when nobody knows where exits
   * are, with `worker_unreachable` when Tor does not tell, or with the signal's reason.
   */
  async for(demand: ExitDemand, port: number, signal: AbortSignal): Promise<readonly DescribedExit[]> {
    const list = await this.#options.directory.exits(signal)
    this.#requireCountries(list, demand)
    const exits = await this.#open(list, demand, port, signal)
    const fitting =
      demand.notBy.length === 0 ? exits : unrelatedTo(exits, await this.#others(list, demand.notBy, signal))
    if (fitting.length > 0) return fitting
    throw tooFew(`every exit ${inWords(demand)} that takes port ${port} is the other session's, or of its family`)
  }

  async #open(list: ExitList, place: Place, port: number, signal: AbortSignal): Promise<readonly DescribedExit[]> {
    const { minimum, clock } = this.#options
    if (this.#list !== list) this.#kept.clear()
    this.#list = list
    const key = `${port} ${place.country ?? ''} ${place.excludeCountries.join()}`
    const kept = this.#kept.get(key)
    if (kept !== undefined && clock.monotonic() - kept.at < KEPT_MS) return kept.exits

    const inPlace = list.relays.filter((relay) => isInPlace(relay, place))
    if (inPlace.length < minimum.exits)
      throw tooFew(`there are ${inPlace.length} exits ${inWords(place)}, and there must be ${minimum.exits}`)
    const exits = requireEnough(await list.describe(inPlace, signal), port, place, minimum)
    if (this.#kept.size >= MAX_KEPT) this.#kept.clear()
    if (this.#list === list) this.#kept.set(key, { exits, at: clock.monotonic() })
    return exits
  }

  /** The relays that are not to be met again. One that Tor does not know any more has relatives that nobody knows. */
  async #others(
    list: ExitList,
    fingerprints: readonly string[],
    signal: AbortSignal,
  ): Promise<readonly DescribedExit[]> {
    const relays = list.relays.filter(({ fingerprint }) => fingerprints.includes(fingerprint))
    const others = await list.describe(relays, signal)
    if (others.length === new Set(fingerprints).size) return others
    throw tooFew("the other session's exit is no exit any more, so nobody can say what is of its family")
  }

  #requireCountries({ knowsCountries }: ExitList, { country, excludeCountries }: Place): void {
    if (knowsCountries || (country === undefined && excludeCountries.length === 0)) return
    const why = 'its Tor has no GeoIP database. Install one (tor-geoipdb), or name it in the torrc (GeoIPFile)'
    throw new CbtorError('exit_rule_unsupported', `Cannot choose an exit of worker ${this.#options.worker}: ${why}`)
  }
}

import { CbtorError } from '../../domain/errors.ts'
import type { ExitDemand } from '../../domain/identity.ts'
import type { Random } from '../../lib/random.ts'
import { areRelated, countFamilies, type DescribedExit, type ExitRelay } from './exit-relay.ts'

/**
 * How many exits must satisfy a rule, of how many families: who leaves by the only exit of a country is known by it, and one
 * family would see everything.
 */
export interface ExitMinimum {
  readonly exits: number
  readonly families: number
}

export const DEFAULT_MINIMUM: ExitMinimum = { exits: 5, families: 3 }

/** The part of a demand that is about places. */
export type Place = Pick<ExitDemand, 'country' | 'excludeCountries'>

/** Whether it is where the demand wants it. Nobody knows that of one whose country is unknown. */
export function isInPlace({ country }: ExitRelay, { country: wanted, excludeCountries }: Place): boolean {
  if (wanted !== undefined && country !== wanted) return false
  return excludeCountries.length === 0 || (country !== undefined && !excludeCountries.includes(country))
}

/** Those of `exits` that let streams to `port` out. Throws `no_exit_for_country_port` when they are fewer than `minimum`. */
export function requireEnough<T extends DescribedExit>(
  exits: readonly T[],
  port: number,
  place: Place,
  minimum: ExitMinimum,
): readonly T[] {
  const open = exits.filter(({ descriptor }) => descriptor.exitPorts.accepts(port))
  if (open.length >= minimum.exits && countFamilies(open, minimum.families) >= minimum.families) return open
  const found = `${open.length} exits of ${countFamilies(open)} families ${inWords(place)} take port ${port}`
  throw tooFew(`${found}, and there must be ${minimum.exits} of ${minimum.families}`)
}

export function tooFew(why: string): CbtorError {
  return new CbtorError('no_exit_for_country_port', `Cannot choose an exit: ${why}`)
}

/** Those of `exits` that are none of `others`, and of nobody who runs one of them. */
export function unrelatedTo<T extends DescribedExit>(
  exits: readonly T[],
  others: readonly DescribedExit[],
): readonly T[] {
  return exits.filter((exit) => !others.some((other) => areRelated(exit, other)))
}

/**
 * One of `exits`, each as likely as its share of their bandwidth. Tor's own weights for the last hop are the same for all exits as long
 * as those are what the network is short of. Undefined when there is none.
 */
export function pickByBandwidth<T extends ExitRelay>(exits: readonly T[], random: Random): T | undefined {
  const total = exits.reduce((sum, { bandwidth }) => sum + bandwidth, 0)
  if (total <= 0) return exits[random.int(Math.max(1, exits.length))]
  let left = random.float() * total
  for (const exit of exits) {
    left -= exit.bandwidth
    if (left < 0) return exit
  }
  return exits.findLast(({ bandwidth }) => bandwidth > 0)
}

export function inWords({ country, excludeCountries }: Place): string {
  if (country !== undefined) return `in ${country}`
  return excludeCountries.length === 0 ? 'anywhere' : `outside ${excludeCountries.join(', ')}`
}

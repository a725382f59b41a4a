import { type Finding, ok, warning, wrong } from './finding.ts'

/** As `GETINFO entry-guards` tells each: `up`, `never-connected`, `down`, `unusable`, `unlisted`. */
export function judgeGuards(name: string, statuses: readonly string[]): Finding {
  const up = statuses.filter((status) => status === 'up').length
  const shown = `${up} of ${statuses.length} up`
  if (up > 0) return ok(name, shown)
  const mend = 'See whether the machine reaches the network: every circuit begins at a guard'
  return statuses.length === 0 || statuses.some((status) => status === 'never-connected')
    ? warning(name, statuses.length === 0 ? 'none has been chosen yet' : shown, mend)
    : wrong(name, shown, mend)
}

/** `available`: what `GETINFO ip-to-country/ipv4-available` says. */
export function judgeGeoip(name: string, available: boolean): Finding {
  return available
    ? ok(name, 'Tor knows the countries of exits')
    : warning(
        name,
        'Tor knows no countries, so no exit can be chosen by one',
        'apt-get install tor-geoipdb, and restart its Tor',
      )
}

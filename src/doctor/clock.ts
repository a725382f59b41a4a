import { isoTime, parseIsoTime } from '../lib/iso-time.ts'
import { type Finding, ok, warning, wrong } from './finding.ts'

/** This was written after that; a clock before it was never set. */
const EARLIEST = parseIsoTime('2026-01-01T00:00:00.000Z')
/** No machine of today is still in use then. */
const LATEST = parseIsoTime('2060-01-01T00:00:00.000Z')

/** Tor goes on with a consensus for so long after its end ("reasonably live"), and refuses it after that. */
const STALE_LIMIT_MS = 24 * 3_600_000
/** TLS and onion descriptors begin to suffer. */
const SKEW_LIMIT_S = 60

const SET_CLOCK = 'Set the clock and keep it set: timedatectl set-ntp true'

/** `now`: the wall-clock time. */
export function checkSystemClock(now: number): Finding {
  const seen = isoTime(now)
  return now >= EARLIEST && now < LATEST ? ok('clock', seen) : wrong('clock', `${seen} cannot be the time`, SET_CLOCK)
}

/** What Tor has noticed of its own clock, by what relays say. `skewS` is positive when its clock is ahead. */
export function judgeClockSkew(name: string, skewS: number | undefined): Finding {
  if (skewS === undefined || Math.abs(skewS) < SKEW_LIMIT_S) return ok(name, 'Tor notices no skew')
  return wrong(name, `Tor says that its clock is ${Math.abs(skewS)} s ${skewS > 0 ? 'ahead' : 'behind'}`, SET_CLOCK)
}

/** The consensus against our clock. Undefined when Tor has none. All in milliseconds since the epoch. */
export function judgeConsensus(
  name: string,
  consensus: { readonly validAfter: number; readonly validUntil: number } | undefined,
  now: number,
): Finding {
  if (consensus === undefined)
    return wrong(
      name,
      'Tor knows nothing of the network yet',
      'See whether the machine reaches the network, and whether its clock is right',
    )
  const { validAfter, validUntil } = consensus
  const age = `it is of ${isoTime(validAfter)}, ${Math.round((now - validAfter) / 60_000)} minutes old`
  if (now < validAfter)
    return wrong(name, `is of the future (${isoTime(validAfter)}), so one of the two clocks is wrong`, SET_CLOCK)
  if (now > validUntil + STALE_LIMIT_MS)
    return wrong(
      name,
      `${age}, and ended at ${isoTime(validUntil)}, so Tor uses it no longer`,
      `See whether the worker reaches the network. ${SET_CLOCK}`,
    )
  if (now > validUntil)
    return warning(
      name,
      `${age}, and ended at ${isoTime(validUntil)}`,
      'Tor has not got a newer one; see whether it reaches the network',
    )
  return ok(name, age)
}

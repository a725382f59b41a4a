import type { Clock } from '../lib/clock.ts'
import type { TorControl } from '../tor/control/client.ts'
import type { SocksProxy } from '../tor/socks/dial.ts'
import { OtherTorError, proveIsolation } from '../workers/prove-isolation.ts'
import { type Finding, messageOf, ok, unchecked, wrong } from './finding.ts'

/**
 * Makes a stream that leads nowhere and sees in its STREAM event what Tor keeps streams apart by: only that proves it. `control` must
 * be subscribed to STREAM. Builds no circuit.
 */
export async function checkIsolation(
  name: string,
  control: TorControl,
  { socks, clock }: { readonly socks: SocksProxy; readonly clock: Clock },
  signal: AbortSignal,
): Promise<Finding> {
  try {
    return judgeIsolation(name, await proveIsolation(control, { socks, clock }, signal))
  } catch (error) {
    signal.throwIfAborted()
    if (error instanceof OtherTorError)
      return wrong(name, messageOf(error), 'Give "socks" and "control" of the same Tor in the configuration')
    return unchecked(name, `no stream could be made on its SOCKS port: ${messageOf(error)}`)
  }
}

/** `missing`: fields that are not in the ISO_FIELDS of a live stream. */
export function judgeIsolation(name: string, missing: readonly string[]): Finding {
  if (missing.length === 0)
    return ok(name, 'a live stream is kept apart by SOCKS user name and password (SOCKS_USERNAME, SOCKS_PASSWORD)')
  return wrong(
    name,
    `a live stream is not kept apart by ${missing.join(' and ')}, so identities share circuits`,
    'Take NoIsolateSOCKSAuth off its SocksPort, and restart its Tor',
  )
}

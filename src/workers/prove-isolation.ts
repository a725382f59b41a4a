import { abortable, deadline } from '../lib/abort.ts'
import type { Clock } from '../lib/clock.ts'
import { type Random, systemRandom } from '../lib/random.ts'
import type { TorControl } from '../tor/control/client.ts'
import type { Stream } from '../tor/control/events/stream.ts'
import { resolveThroughSocks, type SocksProxy } from '../tor/socks/dial.ts'
import { SocksReplyError } from '../tor/socks/errors.ts'
import { SOCKS_PASSWORD } from './socks-link.ts'

/** Fields of ISO_FIELDS, which tor 0.4.3 and newer tell. */
const ISOLATED_BY = ['SOCKS_USERNAME', 'SOCKS_PASSWORD']

/** The name of an address of its own machine is asked of no exit: Tor refuses that by itself, at once, and without a warning. */
const ASKED = { host: '127.0.0.1', command: 'resolvePtr' } as const

/** The event comes before the reply; it takes another connection, though. */
const SEEN_WITHIN_MS = 2_000

/** A SOCKS port that is not of the Tor whose control port we have: nothing that this one tells is about our streams. */
export class OtherTorError extends Error {
  override readonly name = 'OtherTorError'
}

export interface IsolationProof {
  readonly socks: SocksProxy
  readonly clock: Clock
  readonly random?: Random
}

/**
 * Makes a stream that leads nowhere, and sees it on the control port, which has to be subscribed to STREAM: so both ports are of
 * one Tor, and it tells what it isolates this SOCKS port by. Resolves to what is missing, which should be nothing.
 * Needs no bootstrap and builds no circuit. Rejects with `OtherTorError`, or as `resolveThroughSocks` does.
 */
export async function proveIsolation(
  control: TorControl,
  { socks: proxy, clock, random = systemRandom }: IsolationProof,
  signal: AbortSignal,
): Promise<readonly string[]> {
  const username = `proof-${random.bytes(16).toString('hex')}`
  const seen = Promise.withResolvers<Stream>()
  seen.promise.catch(() => {})
  using _listening = control.on('STREAM', (stream) => stream.socksUsername === username && seen.resolve(stream))
  using _close = control.onClose(seen.reject)

  // Whoever hangs after the event has told enough.
  const enough = new AbortController()
  const wanted = AbortSignal.any([signal, enough.signal])
  const answered = resolveThroughSocks({ proxy, auth: { username, password: SOCKS_PASSWORD }, ...ASKED }, wanted)
  try {
    await Promise.race([seen.promise, answered.catch(requireRefusal)])
    using limit = deadline(clock, SEEN_WITHIN_MS, signal, () => otherTor(control.torVersion))
    const { isoFields } = await abortable(seen.promise, limit.signal)
    return ISOLATED_BY.filter((field) => !isoFields.includes(field))
  } finally {
    enough.abort()
    await answered.catch(() => {})
  }
}

/** Any answer to the question will do. */
function requireRefusal(error: unknown): void {
  if (!(error instanceof SocksReplyError)) throw error
}

function otherTor(version: string): OtherTorError {
  return new OtherTorError(
    `the control port (Tor ${version}) knows nothing of a stream on the SOCKS port, so they belong to two different Tors, or it is older than 0.4.3. Configure both ports of one that is newer`,
  )
}

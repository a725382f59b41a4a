import { deadline } from '../../lib/abort.ts'
import type { Clock } from '../../lib/clock.ts'
import type { Logger } from '../../lib/log.ts'
import { SshError } from '../../ssh/errors.ts'
import { TorControl } from '../../tor/control/client.ts'
import { ControlError } from '../../tor/control/errors.ts'
import { BoxOrderError, type BoxTor } from './box-tor.ts'

/** A Tor that was just started opens its ports before it does anything else, and writes its cookie. */
const OPENS_WITHIN_MS = 10_000
const POLL_MS = 250

/**
 * Connects to the control port of the box's Tor, through SSH, as soon as it is open. Rejects with `SshError` when there is no SSH,
 * with `BoxOrderError` when the port does not open in time, and with the signal's reason.
 */
export async function openBoxControl(
  tor: BoxTor,
  { clock, logger }: { readonly clock: Clock; readonly logger: Logger },
  signal: AbortSignal,
): Promise<TorControl> {
  const late = () => new BoxOrderError("Tor's control port is not open on the box")
  using limit = deadline(clock, OPENS_WITHIN_MS, signal, late)
  for (;;) {
    try {
      const cookie = await tor.cookie(limit.signal)
      const stream = await tor.control(limit.signal).catch((error: unknown) => {
        // SSH has just given the cookie, which may be of an earlier Tor; so it is the port that is not there yet.
        const isPort = error instanceof SshError && error.fault === 'unreachable'
        throw isPort ? new BoxOrderError("Tor's control port is not open on the box", { cause: error }) : error
      })
      return await TorControl.over(stream, { method: 'cookie', cookie }, { logger }, limit.signal)
    } catch (error) {
      limit.signal.throwIfAborted()
      // Without SSH there is nothing to wait for; a Tor that was just started may need another moment.
      const isEarly = error instanceof BoxOrderError || error instanceof ControlError
      if (!isEarly && !(error instanceof SshError && error.fault === 'ended')) throw error
      await clock.sleep(POLL_MS, limit.signal)
    }
  }
}

/**
 * Who can mend it:
 *
 * - `unreachable`: the box's SSH cannot be reached: it is off, its link is down, dropbear does not run
 * - `untrusted`: what answers does not hold the pinned host key; nothing was sent to it. The operator looks into it
 * - `key-refused`: the box does not accept our key. The operator mends its authorized_keys
 * - `timed-out`: the box took longer than it may, to connect, to run a command, or to answer at all
 * - `ended`: the connection or the command ended without a result; what the command did is not known
 * - `invalid`: what was asked cannot be asked of any box. The caller
 */
export type SshFault = 'unreachable' | 'untrusted' | 'key-refused' | 'timed-out' | 'ended' | 'invalid'

/** What could not be done on a box by SSH. Its message never shows a private key, nor what went to a command's stdin. */
export class SshError extends Error {
  override readonly name = 'SshError'
  readonly fault: SshFault

  constructor(fault: SshFault, message: string, options?: ErrorOptions) {
    super(message, options)
    this.fault = fault
  }
}

/** Why something ended, without what was attempted: one end of a connection fails many attempts. */
export interface Reason {
  readonly fault: SshFault
  readonly why: string
  readonly cause?: unknown
}

export function sshError(attempt: string, { fault, why, cause }: Reason): SshError {
  return new SshError(fault, `Cannot ${attempt}: ${why}`, cause === undefined ? {} : { cause })
}

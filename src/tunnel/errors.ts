/**
 * Who can mend it. The operator: `invalid` (a box file), `foreign` (something of that name is not ours), `not-permitted`,
 * `not-installed`, `no-helper`; the box or the way to it: `no-handshake`; `failed` says why in the words of the program.
 */
export type TunnelFault =
  | 'invalid'
  | 'foreign'
  | 'not-permitted'
  | 'not-installed'
  | 'no-helper'
  | 'no-handshake'
  | 'failed'

export const TUNNEL_FAULTS: readonly TunnelFault[] = [
  'invalid',
  'foreign',
  'not-permitted',
  'not-installed',
  'no-helper',
  'no-handshake',
  'failed',
]

/** A tunnel that could not be brought up, taken down, reconnected or looked at. The message names no key. */
export class TunnelError extends Error {
  override readonly name = 'TunnelError'
  readonly fault: TunnelFault

  constructor(fault: TunnelFault, message: string, options?: ErrorOptions) {
    super(message, options)
    this.fault = fault
  }
}

export function messageOf(error: unknown): string {
  return error instanceof Error ? error.message : String(error)
}

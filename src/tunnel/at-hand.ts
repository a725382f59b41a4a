import type { Clock } from '../lib/clock.ts'
import { requireNetAdmin } from './capability.ts'
import { isListening, TunnelHelperClient } from './helper/client.ts'
import { DEFAULT_SOCKET, socketOfService } from './helper/protocol.ts'
import { HostTunnels } from './host-tunnels.ts'
import { SystemHost } from './system-host.ts'
import type { Tunnels } from './tunnels.ts'

export interface AtHand {
  /** The state directory that has the box files. */
  readonly state: string
  readonly clock: Clock
  /** Where the helper serves, when that is known. */
  readonly socket?: string
}

/**
 * By the helper that watches over the tunnels, which would undo what is done behind its back; or, where there is none, at once. Rejects
 * with a `TunnelError` when this process may not.
 */
export async function tunnelsAtHand({ state, clock, socket }: AtHand, signal: AbortSignal): Promise<Tunnels> {
  for (const socketPath of socket === undefined ? [DEFAULT_SOCKET, socketOfService(state)] : [socket]) {
    if (await isListening(socketPath, clock, signal)) return new TunnelHelperClient({ socketPath, clock })
  }
  requireNetAdmin()
  return new HostTunnels({ host: new SystemHost({ clock }), clock, state })
}

import type { ServiceConfig } from './config/read-config.ts'
import type { Clock } from './lib/clock.ts'
import type { Logger } from './lib/log.ts'
import { TunnelHelperClient } from './tunnel/helper/client.ts'
import { socketOfService } from './tunnel/helper/protocol.ts'
import { SpawnedTunnels } from './tunnel/helper/spawn.ts'
import type { Tunnels } from './tunnel/tunnels.ts'

/**
 * Whoever makes the tunnels to the boxes, in a process of its own, since that takes a right that the service should not have:
 * the helper that the configuration names, one that serves this state directory already, or one that is started now and
 * ends with us. Rejects with what is wrong and what would be right.
 */
export async function openTunnels(
  {
    state,
    tunnels,
    log,
    log_format: logFormat = 'auto',
  }: Pick<ServiceConfig, 'state' | 'tunnels' | 'log'> & Partial<Pick<ServiceConfig, 'log_format'>>,
  { clock, logger }: { readonly clock: Clock; readonly logger: Logger },
  signal: AbortSignal,
): Promise<Tunnels & AsyncDisposable> {
  if (tunnels.helper === undefined)
    return await SpawnedTunnels.start(
      { socketPath: socketOfService(state), state, log, logFormat, clock, logger },
      signal,
    )
  const client = new TunnelHelperClient({ socketPath: tunnels.helper, clock })
  return Object.assign(client, { async [Symbol.asyncDispose]() {} })
}

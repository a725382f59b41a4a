import { type CommandSender, request } from '../reply.ts'
import { resetConf } from './reset-conf.ts'

/**
 * TAKEOWNERSHIP (control-spec 3.23): from now on Tor ends when this connection does, and no longer watches the process
 * named by `__OwningControllerProcess`. Never for a Tor that somebody else runs.
 */
export async function takeOwnership(control: CommandSender, signal: AbortSignal): Promise<void> {
  await request(control, 'TAKEOWNERSHIP', signal)
  await resetConf(control, ['__OwningControllerProcess'], signal)
}

import { ControlClosedError } from '../errors.ts'
import { type CommandSender, request } from '../reply.ts'

export type SignalName =
  | 'RELOAD'
  | 'SHUTDOWN'
  | 'DUMP'
  | 'DEBUG'
  | 'HALT'
  | 'NEWNYM'
  | 'CLEARDNSCACHE'
  | 'HEARTBEAT'
  | 'ACTIVE'
  | 'DORMANT'

/**
 * SIGNAL (control-spec 3.7). Resolves when Tor has taken it, not when it has acted: see `newCircuits`. Tor may close
 * the connection instead of replying to HALT and SHUTDOWN.
 */
export async function sendSignal(control: CommandSender, name: SignalName, signal: AbortSignal): Promise<void> {
  try {
    await request(control, `SIGNAL ${name}`, signal)
  } catch (error) {
    const isGoodbye = error instanceof ControlClosedError && (name === 'HALT' || name === 'SHUTDOWN')
    if (!isGoodbye) throw error
  }
}

import { connect, type Socket } from 'node:net'
import { onAbort } from '../../lib/abort.ts'
import type { Logger } from '../../lib/log.ts'
import type { Credentials } from '../../tor/control/authenticate.ts'
import { TorControl } from '../../tor/control/client.ts'
import { ControlClosedError } from '../../tor/control/errors.ts'
import { type Endpoint, endpointFault } from './endpoint.ts'

/** How we prove to somebody else's Tor who we are. Not by `owned-socket`: the socket is not ours. */
export type ControlCredentials = Exclude<Credentials, { method: 'owned-socket' }>

export interface ControlEndpoint {
  readonly at: Endpoint
  readonly credentials: ControlCredentials
}

/** A connection that the network swallowed is noticed by the system then; a pulse notices it sooner. */
const KEEP_ALIVE_MS = 30_000

/** Connects and authenticates. Rejects with a `ControlError`, or with the signal's reason when aborted. */
export async function openControl(
  { at, credentials }: ControlEndpoint,
  logger: Logger,
  signal: AbortSignal,
): Promise<TorControl> {
  if ('path' in at) return await TorControl.open(at.path, credentials, { logger }, signal)
  return await TorControl.over(await dial(at, signal), credentials, { logger }, signal)
}

/** The operator's own Tor, by its address: never a target, and never a name. */
async function dial(at: { readonly host: string; readonly port: number }, signal: AbortSignal): Promise<Socket> {
  const fault = endpointFault(at)
  if (fault) throw new RangeError(`Cannot connect to a control port: it ${fault}`)
  signal.throwIfAborted()
  const socket = connect({ host: at.host, port: at.port, keepAlive: true, keepAliveInitialDelay: KEEP_ALIVE_MS })
  const connected = Promise.withResolvers<void>()
  socket.once('connect', connected.resolve)
  socket.once('error', (cause) => {
    connected.reject(new ControlClosedError(`Cannot connect to the control port: ${cause.message}`, { cause }))
  })
  using _ = onAbort(signal, connected.reject)
  try {
    await connected.promise
    return socket
  } catch (error) {
    socket.destroy()
    throw error
  }
}

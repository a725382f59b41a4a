import type { Socket } from 'node:net'
import { CbtorError } from '../domain/errors.ts'
import type { TunnelRequest } from '../domain/exchange.ts'
import type { ClientBytes } from './client-bytes.ts'
import { cutOff } from './cut-off.ts'
import type { PortOptions } from './port.ts'
import { type AdmittedRouting, keyGone } from './routing.ts'
import { splice } from './tunnel.ts'

export interface TunnelClient {
  readonly socket: Socket
  /** Disposed when the tunnel stands. */
  readonly bytes: ClientBytes
  /** Tells the client that its tunnel stands. */
  accept(): void
}

/**
 * Opens a tunnel, tells its client only then, and resolves when the tunnel has ended. What the client has sent ahead goes
 * first: what may be delivered twice with the request, the rest once the tunnel stands. Rejects with the CbtorError that
 * kept the tunnel from standing, before the client was told anything. A tunnel whose caller's key is revoked or expires is cut off.
 */
export async function runTunnel(
  { backend, clock, limits }: PortOptions,
  request: TunnelRequest & AdmittedRouting,
  client: TunnelClient,
): Promise<void> {
  const { socket, bytes } = client
  let isOpen = false
  using _gone = backend.onGone(request.caller, () => {
    bytes.giveUp(keyGone())
    if (isOpen) cutOff(socket)
  })
  bytes.watch()
  const earlyData = bytes.takeSafe()
  using tunnel = await inTime(bytes, { clock, limits }, (signal) =>
    backend.openTunnel(request, earlyData.length > 0 ? { earlyData } : {}, signal),
  )
  if (bytes.signal.aborted) {
    tunnel.ended('client_gone')
    throw bytes.signal.reason
  }

  isOpen = true
  client.accept()
  const ahead = bytes.takeAll()
  bytes[Symbol.dispose]()
  if (ahead.length > 0) tunnel.socket.write(ahead)
  const first = earlyData.length > 0 ? earlyData : ahead
  const outcome = await splice(socket, tunnel, first, limits, clock)
  tunnel.ended(outcome)
}

/** Does `open` with the signal of the client, which is also aborted when it takes too long. */
export async function inTime<T>(
  bytes: ClientBytes,
  { clock, limits }: Pick<PortOptions, 'clock' | 'limits'>,
  open: (signal: AbortSignal) => Promise<T>,
): Promise<T> {
  const late = () => bytes.giveUp(new CbtorError('tor_timeout', 'Cannot reach the target: it took too long'))
  using _ = clock.timer(limits.openMs, late)
  return await open(bytes.signal)
}

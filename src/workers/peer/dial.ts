import { connect, type TLSSocket } from 'node:tls'
import { fromJson, LineError, readLine, toLine } from '../../cluster/worker-port/lines.ts'
import { ofClient, type PortAddress } from '../../cluster/worker-port/secured.ts'
import { deadline, onAbort } from '../../lib/abort.ts'
import type { Clock } from '../../lib/clock.ts'
import { type FirstLine, MAX_FIRST_LINE } from './messages.ts'

/** The other replica does not answer, or not as one of this pool: `message` says why. */
export class PeerUnreachable extends Error {
  override readonly name = 'PeerUnreachable'
}

export interface PeerDial {
  readonly at: PortAddress
  /** Of `workerPortKey`. */
  readonly key: Buffer
  readonly clock: Clock
  /** For the connection and its handshake. */
  readonly withinMs: number
}

/**
 * Says `opening` at a worker port and resolves with what it answers; bytes that come behind it are the first ones to be read. Rejects
 * with `PeerUnreachable`, or with the signal's reason, leaving no socket behind. The caller owns the socket, which carries a
 * listener for `error`.
 */
export async function dialPeer(
  dial: PeerDial,
  opening: FirstLine,
  signal: AbortSignal,
): Promise<{ readonly socket: TLSSocket; readonly answer: unknown }> {
  signal.throwIfAborted()
  const { at, key, clock, withinMs } = dial
  const socket = connect({ host: at.host, port: at.port, ...ofClient(key) })
  socket.on('error', () => {})
  try {
    await secured(socket, clock, withinMs, signal)
    socket.setNoDelay(true)
    socket.write(toLine(opening))
    const line = await readLine(socket, MAX_FIRST_LINE, signal)
    if (signal.aborted) throw signal.reason
    return { socket, answer: fromJson(line) }
  } catch (error) {
    socket.destroy()
    if (signal.aborted) throw signal.reason
    if (!(error instanceof LineError)) throw error
    throw new PeerUnreachable('it closed the connection without an answer', { cause: error })
  }
}

async function secured(socket: TLSSocket, clock: Clock, withinMs: number, signal: AbortSignal): Promise<void> {
  const { promise, resolve, reject } = Promise.withResolvers<void>()
  using limit = deadline(clock, withinMs, signal, () => new PeerUnreachable(`it did not answer within ${withinMs} ms`))
  using _ = onAbort(limit.signal, reject)
  socket.once('secureConnect', resolve).once('close', () => reject(refused(socket.errored)))
  await promise
}

function refused(cause: NodeJS.ErrnoException | null): PeerUnreachable {
  if (cause === null) return new PeerUnreachable('it closed the connection')
  const { code = '', message } = cause
  if (code === 'ECONNREFUSED') return new PeerUnreachable('nothing listens there', { cause })
  if (code.startsWith('ERR_SSL')) return new PeerUnreachable('it has not the secret of this pool', { cause })
  return new PeerUnreachable(code || message, { cause })
}

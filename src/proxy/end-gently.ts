import type { Socket } from 'node:net'
import type { Clock } from '../lib/clock.ts'

/** How long a client may take to close its side once it has everything. */
const LINGER_MS = 2_000

/**
 * Sends what is left to be sent, at most for `flushMs`, and the end; then waits for the client to close, and destroys the
 * socket. What still comes is read and thrown away: with unread bytes the kernel would answer a close with a reset, and the
 * reset could reach the client before it has read what was sent last. The socket's error must be listened for.
 */
export function endGently(socket: Socket, clock: Clock, flushMs = LINGER_MS): void {
  if (socket.destroyed) return
  const destroy = () => socket.destroy()
  let timer: Disposable | undefined
  const closeIfDone = () => {
    if (socket.writableFinished && socket.readableEnded) destroy()
    return socket.destroyed
  }
  socket.once('close', () => timer?.[Symbol.dispose]())
  socket.once('end', closeIfDone)
  socket.once('finish', () => {
    timer?.[Symbol.dispose]()
    if (!closeIfDone()) timer = clock.timer(Math.min(flushMs, LINGER_MS), destroy)
  })
  socket.end()
  socket.resume()
  if (!closeIfDone()) timer = clock.timer(flushMs, destroy)
}

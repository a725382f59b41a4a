import type { Socket } from 'node:net'

/** The connections below TLS. */
const BELOW = new WeakMap<Socket, Socket>()

/** Tells once of which TCP connection a connection in TLS is made. */
export function liesUpon(secured: Socket, raw: Socket): void {
  BELOW.set(secured, raw)
}

/**
 * Ends a connection in a way that nobody takes for its orderly end: by a reset. A unix socket knows no such thing: what has come
 * by it must tell by itself how long it is.
 */
export function cutOff(socket: Socket): void {
  const raw = BELOW.get(socket) ?? socket
  try {
    raw.resetAndDestroy()
  } catch {
    socket.destroy()
  }
}

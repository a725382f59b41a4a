import type { Socket } from 'node:net'

/**
 * Ends a connection in a way that nobody takes for its orderly end: by a reset; within TLS, where there is none, by leaving out
 * the alert that TLS has for an end. A unix socket knows no such thing: what has come in it must tell by itself how long it is.
 */
export function cutOff(socket: Socket): void {
  try {
    socket.resetAndDestroy()
  } catch {
    socket.destroy()
  }
}

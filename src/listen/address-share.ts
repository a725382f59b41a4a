import type { Server, Socket } from 'node:net'
import { isLoopbackAddress } from '../lib/loopback.ts'
import { addressField } from '../lib/socks5.ts'

/** Of an IPv6 address, what is somebody's network: its kind and 64 bits. */
const NETWORK_BYTES = 1 + 8

/**
 * Lets one address of another machine have a quarter of the server's connections: whoever has no key could else keep out all others by
 * connections that say nothing. Further ones are closed at once. To be called when `maxConnections` is set.
 */
export function shareByAddress(server: Server): void {
  const most = Math.ceil(server.maxConnections / 4)
  const counts = new Map<string, number>()
  server.on('connection', (socket: Socket) => {
    const network = networkOf(socket.remoteAddress)
    if (network === undefined) return
    const count = counts.get(network) ?? 0
    if (count >= most) {
      socket.destroy()
      return
    }
    counts.set(network, count + 1)
    socket.once('close', () => {
      const left = (counts.get(network) ?? 1) - 1
      if (left === 0) counts.delete(network)
      else counts.set(network, left)
    })
  })
}

/** Undefined of this machine. An IPv6 address counts as its /64, which one machine has all of. */
function networkOf(address: string | undefined): string | undefined {
  if (address === undefined || isLoopbackAddress(address)) return undefined
  const plain = address.replace(/^::ffff:(?=\d+\.)/, '').replace(/%.*$/, '')
  return addressField(plain)?.slice(0, NETWORK_BYTES).join('.')
}

import { BlockList, isIP } from 'node:net'

const LOOPBACK = new BlockList()
LOOPBACK.addSubnet('127.0.0.0', 8, 'ipv4')
LOOPBACK.addAddress('::1', 'ipv6')

/** Whether it is an IP address of this machine's loopback. A zone (`::1%lo`) has no place in a URL, and loopback needs none. */
export function isLoopbackAddress(text: string): boolean {
  const family = isIP(text)
  return family !== 0 && !text.includes('%') && LOOPBACK.check(text, family === 6 ? 'ipv6' : 'ipv4')
}

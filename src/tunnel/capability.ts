import { readFileSync } from 'node:fs'
import { TunnelError } from './errors.ts'

/** Its number in capabilities(7). */
const CAP_NET_ADMIN = 12n

/** Throws a `TunnelError` when this process, or the programs that it runs, may not change the network. */
export function requireNetAdmin(status: string = readFileSync('/proc/self/status', 'utf8')): void {
  if (mayChangeNetwork(status)) return
  throw new TunnelError(
    'not-permitted',
    'Cannot work on tunnels: that needs the right to change the network (CAP_NET_ADMIN). Run it as root, or as a systemd service with AmbientCapabilities=CAP_NET_ADMIN',
  )
}

/** `status`: of proc(5). What is not root hands its capabilities on to programs only when they are ambient. */
export function mayChangeNetwork(status: string): boolean {
  const has = (set: string) => {
    const [, bits = '0'] = new RegExp(`^${set}:\\s*([0-9a-f]+)$`, 'm').exec(status) ?? []
    return ((BigInt(`0x${bits}`) >> CAP_NET_ADMIN) & 1n) === 1n
  }
  const isRoot = /^Uid:\s*\d+\s+0\s/m.test(status)
  return has('CapEff') && (isRoot || has('CapAmb'))
}

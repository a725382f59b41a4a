import { isLoopback, showAddress } from './addresses.ts'
import { type Finding, ok, warning, worst, wrong } from './finding.ts'
import type { OpenSocket } from './sockets.ts'

/** A port that the configuration has the service open. `host` may be a name. */
export interface ConfiguredPort {
  /** `listen`, `proxy.http`: the field. */
  readonly field: string
  readonly host: string
  readonly port: number
  /** Whether whoever reaches it has to say a password. */
  readonly asksPassword: boolean
}

/** What the service's process waits on, against what the configuration has it open. */
export function judgeOwnListeners(
  name: string,
  sockets: readonly OpenSocket[],
  configured: readonly ConfiguredPort[],
): readonly Finding[] {
  const found: Finding[] = []
  const shown: string[] = []
  for (const socket of sockets) {
    const address = `${socket.protocol} ${showAddress(socket)}`
    const field = configured.find(({ host, port }) => isOf(socket, host, port))
    if (socket.protocol === 'udp' || field === undefined)
      found.push(
        wrong(
          name,
          `the service listens on ${address}, which the configuration does not say`,
          'Stop it and find out what it has loaded (NODE_OPTIONS, --inspect)',
        ),
      )
    else if (isLoopback(socket.host)) shown.push(`${showAddress(socket)} (${field.field})`)
    else if (field.asksPassword)
      found.push(
        warning(
          name,
          `${field.field} is at ${address}, where others can reach it: they need a password, which crosses the network in the clear`,
          'Let it listen on 127.0.0.1, and others come by SSH or a VPN',
        ),
      )
    else
      found.push(
        wrong(
          name,
          `${field.field} is at ${address}, where others can reach it, and asks for no password`,
          `Let ${field.field} listen on 127.0.0.1`,
        ),
      )
  }
  return worst(found, ok(name, shown.length === 0 ? 'none' : shown.join(', ')))
}

/** Port 0 takes a free one, so any will do; a name may have become any address of this machine. */
function isOf(socket: OpenSocket, host: string, port: number): boolean {
  if (port !== 0 && socket.port !== port) return false
  return host.toLowerCase() === 'localhost' || !/^[\d.]+$|:/.test(host) ? true : socket.host === host
}

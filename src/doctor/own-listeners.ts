import { isLoopback, showAddress } from './addresses.ts'
import { type Finding, ok, warning, worst, wrong } from './finding.ts'
import type { OpenSocket } from './sockets.ts'

/** A port that the configuration has the service open. */
export interface ConfiguredPort {
  /** `listen`, `proxy.http`: the field. */
  readonly field: string
  readonly host: string
  readonly port: number
  /** Whether whoever reaches it has to show a key. */
  readonly asksKey: boolean
  /** Whether it speaks TLS by itself, or something in front of it does, or nobody, where others can reach it. */
  readonly tls: 'own' | 'offloaded' | 'none'
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
    else if (!field.asksKey)
      found.push(
        wrong(
          name,
          `${field.field} is at ${address}, where others can reach it, and asks for no key`,
          `Let ${field.field} listen on 127.0.0.1, or set auth: on`,
        ),
      )
    else if (field.tls === 'own')
      shown.push(`${showAddress(socket)} (${field.field}; others reach it, by TLS and a key)`)
    else if (field.tls === 'offloaded')
      found.push(
        warning(
          name,
          `${field.field} is at ${address}, where others can reach it in the clear, although something else is to do TLS for it`,
          'Let the firewall let in nobody but what does TLS, or let both be on one machine: 127.0.0.1 or unix:/PATH',
        ),
      )
    else
      found.push(
        wrong(
          name,
          `${field.field} is at ${address}, where others can reach it, and keys cross the network in the clear`,
          'Set tls, with cert_file and key_file: docs/exposing.md',
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

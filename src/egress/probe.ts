import { createSocket } from 'node:dgram'
import { accessSync, constants, readFileSync } from 'node:fs'
import { isIP } from 'node:net'
import type { Clock } from '../lib/clock.ts'

/** How an attempt to leave by a way that nobody needs came out. `no-route`: there is no network, so there was nothing to lock. */
export type Attempt = 'refused' | 'sent' | 'no-route'

export interface EgressState {
  /**
   * `locked`: the kernel refuses what this process sends, here and at once. `open`: it does not. `unknown`: there is no route
   * by which anything could leave.
   */
  readonly state: 'locked' | 'open' | 'unknown'
  /** What is open, a sentence each. */
  readonly holes: readonly string[]
}

export interface EgressProbe {
  readonly clock: Clock
  /** Sends one datagram without content. */
  readonly send?: (address: string, port: number, clock: Clock) => Promise<Attempt>
  readonly resolvConf?: string
  /** Sockets by which programs have names resolved by others. */
  readonly resolverSockets?: readonly string[]
}

/** Of documentation (RFC 5737, RFC 3849): nobody is there. */
const NOBODY = ['192.0.2.1', '2001:db8::1']
/** RFC 863: what comes is thrown away. */
const DISCARD_PORT = 9
const DNS_PORT = 53
const WITHIN_MS = 1_000

/** systemd-resolved and nscd: a firewall does not see them. */
const RESOLVER_SOCKETS = ['/run/systemd/resolve/io.systemd.Resolve', '/run/nscd/socket']

/**
 * Whether the egress lock holds for this very process: so it has to be run as the service is, by the same user in the same
 * control group. Packets that a lock would refuse are empty and go to addresses of documentation, and to the system's
 * resolvers, which learn nothing by them. Never rejects.
 */
export async function probeEgress({
  clock,
  send = sendNothing,
  resolvConf = '/etc/resolv.conf',
  resolverSockets = RESOLVER_SOCKETS,
}: EgressProbe): Promise<EgressState> {
  const attempts = await Promise.all(NOBODY.map((address) => send(address, DISCARD_PORT, clock)))
  const resolvers = nameservers(resolvConf)
  const questions = await Promise.all(resolvers.map((address) => send(address, DNS_PORT, clock)))
  const holes = [
    ...NOBODY.filter((_, n) => attempts[n] === 'sent').map((address) => `A packet to ${address} left this machine`),
    ...resolvers.filter((_, n) => questions[n] === 'sent').map((address) => `The resolver ${address} can be asked`),
    ...resolverSockets.filter(isReachable).map((path) => `Names can be asked of whoever listens at ${path}`),
  ]
  if (holes.length > 0) return { state: 'open', holes }
  return { state: attempts.includes('refused') ? 'locked' : 'unknown', holes }
}

/**
 * A datagram is refused while it is being sent, with an error that no router's answer can be taken for; of a connection one
 * could not tell.
 */
async function sendNothing(address: string, port: number, clock: Clock): Promise<Attempt> {
  const socket = createSocket(isIP(address) === 6 ? 'udp6' : 'udp4')
  const { promise, resolve } = Promise.withResolvers<Attempt>()
  using _ = clock.timer(WITHIN_MS, () => resolve('no-route'))
  const settle = (error: NodeJS.ErrnoException | null | undefined) => resolve(error ? meaningOf(error) : 'sent')
  socket.on('error', settle)
  socket.connect(port, address, (error?: NodeJS.ErrnoException) => {
    if (error) settle(error)
    else socket.send(Buffer.alloc(0), settle)
  })
  try {
    return await promise
  } finally {
    socket.close()
  }
}

function meaningOf({ code }: NodeJS.ErrnoException): Attempt {
  return code === 'EPERM' || code === 'EACCES' ? 'refused' : 'no-route'
}

function nameservers(path: string): readonly string[] {
  try {
    const text = readFileSync(path, 'utf8')
    return [...text.matchAll(/^\s*nameserver\s+(\S+)/gm)].flatMap(([, address = '']) =>
      isIP(address) === 0 ? [] : [address],
    )
  } catch {
    return []
  }
}

function isReachable(path: string): boolean {
  try {
    accessSync(path, constants.W_OK)
    return true
  } catch {
    return false
  }
}

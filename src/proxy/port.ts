import type { Socket } from 'node:net'
import type { Clock } from '../lib/clock.ts'
import type { Logger } from '../lib/log.ts'
import type { Random } from '../lib/random.ts'
import type { ProxyBackend } from './backend.ts'
import type { TunnelLimits } from './tunnel.ts'

/** What every port works with. */
export interface PortOptions {
  readonly backend: ProxyBackend
  readonly clock: Clock
  readonly random: Random
  /** Targets, user names and passwords are not told to it at any level. */
  readonly logger: Logger
  readonly limits: PortLimits
}

export interface PortLimits extends TunnelLimits {
  /** How long a client may take for its handshake, or for the head of its next request. */
  readonly handshakeMs: number
  /** How long the service may take to open a tunnel or to resolve a name. */
  readonly openMs: number
}

/** One protocol, without the socket that listens. */
export interface Port {
  /** Speaks with a client that has connected until its socket is closed. Never throws. */
  serve(client: Socket): Served
}

export interface Served {
  /** Takes nothing new from this client, and ends the connection unless something is under way. */
  drain(): void
}

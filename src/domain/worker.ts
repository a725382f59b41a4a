/** What manages a worker: see the table of kinds in ARCHITECTURE.md. */
export type WorkerKind = 'local' | 'openwrt' | 'external' | 'peer' | 'fake'

/**
 * Whose a worker is where several gateways share a pool. `shared`: all reach it; `own`: it is this gateway's, and others reach it
 * through this one; `peer`: another gateway's own.
 */
export type Reach = 'shared' | 'own' | 'peer'

export function reachOf(kind: WorkerKind): Reach {
  if (kind === 'local') return 'own'
  return kind === 'peer' ? 'peer' : 'shared'
}

/** What the operator asked for. Never changed by health. */
export const DESIRED_STATES = ['enabled', 'drained', 'stopped'] as const
export type DesiredState = (typeof DESIRED_STATES)[number]

/** What is observed. `starting` and `recovery` take no traffic, `suspect` takes it after the healthy ones. */
export type HealthState = 'starting' | 'healthy' | 'suspect' | 'dead' | 'recovery'

/** How a request reaches the target through a worker. */
export type Route = 'socks' | 'transparent'

/** A worker's id (`tor01`) and its number, 1 to N, in the order of the configuration. */
export interface WorkerName {
  readonly id: string
  readonly n: number
}

/** A host and port as the target policy let them through: lower case, no trailing dot, IPv6 without brackets. */
export interface Target {
  readonly host: string
  readonly port: number
}

/** The relay where a circuit leaves Tor, as the worker's own Tor tells it. */
export interface Exit {
  readonly nickname: string
  /** 40 upper-case hexadecimal digits. */
  readonly fingerprint: string
  /** The relay's address in the consensus; on the public network an exit may send from another one. */
  readonly address?: string
  /** Where its address is, by Tor's own GeoIP database: two lower-case letters. */
  readonly country?: string
}

/** A relay on a circuit's path. */
export type PathRelay = Pick<Exit, 'nickname' | 'fingerprint' | 'country'>

export function isOnionHost(host: string): boolean {
  return host.endsWith('.onion')
}

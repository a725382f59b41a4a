/** What the service needs of the tunnels to its boxes, by their number. Rejects with `TunnelError` or the signal's reason. */
export interface Tunnels {
  /** Brings the tunnel up, or mends what is missing of one that is. Does not wait for the box to answer. */
  up(n: number, signal: AbortSignal): Promise<void>
  /** Leaves nothing of it. */
  down(n: number, signal: AbortSignal): Promise<void>
  /** Resolves the box's name again and shakes hands anew; resolves when the box has answered. */
  reconnect(n: number, signal: AbortSignal): Promise<void>
  status(n: number, signal: AbortSignal): Promise<TunnelStatus>
}

export interface TunnelStatus {
  /** The interface is up, and packets from its addresses go into it. Whether the box answers is told by `handshakeAgeMs`. */
  readonly isUp: boolean
  /** Missing when there was none since the interface or the connection was made. */
  readonly handshakeAgeMs?: number
  readonly rxBytes: number
  readonly txBytes: number
  /** The route that refuses what has no other way. */
  readonly killSwitch: boolean
  /** The route into the tunnel. */
  readonly defaultRoute: boolean
  /** What sends the tunnel's addresses to its own routing table. */
  readonly rule: boolean
  /** The firewall rules that let its addresses out by no other interface. */
  readonly lock: boolean
  /** What is wrong, a sentence each, with the command that mends it. */
  readonly problems: readonly string[]
}

/** WireGuard gives a session up after 180 s; a living one shakes hands each 120 s. */
export const STALE_AFTER_MS = 180_000

/** What a driver needs of the tunnels of this machine; whoever has CAP_NET_ADMIN does it. `n` is the tunnel's number. */
export interface BoxTunnels {
  /** Makes the tunnel and its routes if they are not there, and mends what is wrong with them. */
  up(n: number, signal: AbortSignal): Promise<unknown>
  /** Resolves the box's endpoint again and makes a new handshake. Rejects when there is none. */
  reconnect(n: number, signal: AbortSignal): Promise<unknown>
  status(n: number, signal: AbortSignal): Promise<BoxTunnelStatus>
}

export interface BoxTunnelStatus {
  /** Undefined when there never was one. */
  readonly handshakeAgeMs?: number | undefined
  /** Sentences: what is wrong, and what mends it. */
  readonly problems: readonly string[]
}

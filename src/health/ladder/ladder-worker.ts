/**
 * What the ladder needs of a worker, be it a process of our own or a box. Each rejects with the reason when it cannot be
 * done. None of them may touch the state of the guards (Tor's DataDirectory, DROPGUARDS): drawing new guards at each
 * trouble is how a client ends up with a hostile one.
 */
export interface LadderWorker {
  /** The box answers on SSH; for a process of our own: it runs. */
  reachHost(signal: AbortSignal): Promise<void>
  /** Reads what the box says of its own health. Left out where there is nobody to say it. */
  readNode?(signal: AbortSignal): Promise<void>
  /** SOCKS answers a whole greeting: that its port is open proves nothing, the kernel opens it for a frozen Tor, too. */
  greetSocks(signal: AbortSignal): Promise<void>
  /** Stops Tor if it runs and starts it, unless the box itself is doing so; resolves once it is bootstrapped. */
  restartTor(signal: AbortSignal): Promise<void>
  /** At both ends. Left out where there is no tunnel. */
  reconnectTunnel?(signal: AbortSignal): Promise<void>
  /** Fetches check endpoints through it. */
  verifyCircuit(signal: AbortSignal): Promise<void>
}

/** One run of a program. `args` are constants of ours, numbers, and what `tunnelSpec` has checked; never a key of ours. */
export interface HostCommand {
  readonly program: 'ip' | 'wg' | 'nft'
  readonly args: readonly string[]
  /** What it reads as `/dev/stdin`. */
  readonly stdin?: string
}

export interface CommandOutput {
  readonly code: number
  readonly stdout: string
  readonly stderr: string
}

/** The machine whose network is changed: the real one (`system-host.ts`), or one made up (`fake-host.ts`). */
export interface Host {
  /**
   * Resolves with what the program said; a code other than 0 is an answer as well. Rejects with a `TunnelError` when there
   * is no such program or it did not end in time, and with the signal's reason.
   */
  run(command: HostCommand, signal: AbortSignal): Promise<CommandOutput>
  /** Makes the interface in user space and resolves when WireGuard answers on it. Rejects with a `TunnelError`. */
  startWireguard(interfaceName: string, signal: AbortSignal): Promise<void>
  /** Ends what `startWireguard` has started for the interface, also in a former life of this program. */
  endWireguard(interfaceName: string): Promise<void>
  /** Calls `listener` with a line of text for each change of links, addresses, routes, rules and firewall until disposed. */
  onChange(listener: (line: string) => void): AsyncDisposable
}

import type { Client, ClientChannel } from 'ssh2'

/*
 * Two things that ssh2 cannot do by its public interface, and dropbear needs. Both reach into its inner objects with care: where
 * another version has them no more, nothing is done, and the connection bears the consequence.
 */

interface Inner {
  readonly outgoing?: { readonly id: number; readonly state: string }
  readonly incoming?: { window: number }
}

/**
 * Sends a signal to the command on `channel`. To close its channel would not end it, and dropbear does not even answer that while
 * the command runs. ssh2's own `signal` does nothing once stdin has ended, though the protocol allows it.
 */
export function signalCommand(client: Client, channel: ClientChannel, name: 'TERM' | 'KILL'): void {
  const { _protocol: protocol } = client as unknown as { _protocol?: { signal?(id: number, name: string): void } }
  const { outgoing } = channel as unknown as Inner
  if (outgoing?.state === 'open' || outgoing?.state === 'eof') protocol?.signal?.(outgoing.id, name)
}

/**
 * Closes `channel`, whatever may still arrive on it. ssh2 would go on to grant the box more window for that, after its close;
 * dropbear has forgotten the channel by then and ends the whole connection ("Unknown channel"). So it is made to believe that
 * there is window enough.
 */
export function closeChannel(channel: ClientChannel): void {
  const { incoming } = channel as unknown as Inner
  if (incoming) incoming.window = Number.POSITIVE_INFINITY
  channel.close()
  // What still arrives is for nobody.
  channel.removeAllListeners('data')
  channel.resume()
}

/** The way to the shared store: what the parts of a cluster ask of it. `valkey-link.ts` is the real one. */

/** What the store runs as a whole, so that nobody sees half of it. */
export interface Script {
  /** Unique, letters and digits. */
  readonly name: string
  readonly lua: string
  /** How many keys it is given. */
  readonly keys: number
}

export type StoreArgument = string | number | Buffer

/** The store cannot be asked just now. What was asked may or may not have happened. */
export class StoreUnavailable extends Error {
  override readonly name = 'StoreUnavailable'
}

/** The store answers, and does not take what it was asked: its memory or disk is full, it runs a long script. */
export class StoreRefuses extends StoreUnavailable {}

export interface StoreLink {
  /** Whether it answers, as far as is known. Free to read. */
  readonly isUp: boolean
  /** Told when it goes and when it is back: then with all channels subscribed anew. Dispose to stop listening. */
  onChange(listener: (isUp: boolean) => void): Disposable
  /** The name of one of our keys or channels: with the prefix of this cluster, in one hash slot. */
  key(name: string): string
  /** Rejects with `StoreUnavailable` at once while it is down, and after 2 s without an answer: nothing waits for it to come back. */
  call(command: string, ...args: readonly StoreArgument[]): Promise<unknown>
  /** As `call`. Texts come as strings. */
  run(script: Script, keys: readonly string[], args: readonly StoreArgument[]): Promise<unknown>
  /**
   * Hears what is published there from now on. What is published while the link is down is lost: whoever must know looks when it
   * is up again. Listeners must not throw.
   */
  subscribe(channel: string, listener: (message: string) => void): Disposable
}

/** What all replicas agree on in the end: named values, of which the last one that was set wins. */
import type { Json } from '../lib/json.ts'

export interface RegisterChange {
  readonly name: string
  /** Undefined: it was removed. */
  readonly value: Json | undefined
}

/**
 * Last-writer-wins registers (a CRDT: replicas that have seen the same writes have the same values, in whatever order they saw
 * them). Reading and writing take no time: values are at hand, writes hold here at once and go to the store when it is there.
 * Names: `mode`, `desired/tor01`, `key/ID`, `session/HASH`: kind, slash, name.
 */
export interface Registers {
  get(name: string): Json | undefined
  /** `undefined` removes it. */
  set(name: string, value: Json | undefined): void
  /** Of one kind: what comes before the slash. */
  entries(kind: string): Iterable<readonly [name: string, value: Json]>
  /** Told of what others have set, once it holds here. */
  onChange(listener: (change: RegisterChange) => void): Disposable
  /** How many writes the store does not have yet. */
  readonly pending: number
}

import type { Caller } from '../domain/caller.ts'
import type { Key, KeyOrder } from '../domain/key.ts'

/** What the API needs of the keys. */
export interface Keys {
  /** Whom a key stands for; undefined for what is none, is revoked or has expired. Takes the same time whatever is wrong. */
  authenticate(text: string): Caller | undefined
  /** Whom the key of this id stands for; undefined once it is revoked or has expired. */
  callerOf(id: string): Caller | undefined
  /** Calls `listener` once the key of this id is revoked or expires, at once if it is. Dispose to stop listening. */
  onGone(id: string, listener: () => void): Disposable
  /** Those that have expired, too; the oldest first. */
  list(): readonly Key[]
  /** `text` is the key itself, and nobody can tell it a second time. */
  create(order: KeyOrder): { readonly key: Key; readonly text: string }
  /** Ends a key at once. Throws `key_not_found`. */
  revoke(id: string): Key
}

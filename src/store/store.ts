import type { Mode } from '../domain/exchange.ts'
import type { StoredKey } from '../domain/key.ts'
import type { DesiredState } from '../domain/worker.ts'
import type { Json } from '../lib/json.ts'

/** The session of a sticky key, as it is kept. Instants in epoch ms. */
export interface StoredSession {
  readonly worker: string
  /** Of the identity: it goes up by one with each rotation. */
  readonly generation: number
  readonly createdAt: number
  /** In the past: it has ended, and is remembered for its generation. */
  readonly endsAt: number
  /** Sealed text, for who lists sessions: the sticky key itself is never kept in plain text. */
  readonly label?: Buffer | undefined
}

/** What another replica has changed. Ask the store for what holds now. */
export type StoreChange =
  | { readonly what: 'mode' }
  | { readonly what: 'desired'; readonly worker: string }
  | { readonly what: 'key'; readonly id: string }
  | { readonly what: 'session'; readonly hash: string }

/** What survives a restart. `test/contracts/store-contract.ts` is the promise that every store keeps. */
export interface Store extends Disposable {
  /** 32 bytes that all identities derive from; made with `generate` the first time it is asked for. */
  poolSecret(generate: () => Buffer): Buffer
  mode(): Mode | undefined
  setMode(mode: Mode): void
  /** By worker id; a worker that the operator never touched is not in it. */
  desiredStates(): ReadonlyMap<string, DesiredState>
  setDesiredState(workerId: string, desired: DesiredState): void
  /** Bytes by key id on this day (`2026-11-26`, UTC), by all replicas; a key that has used none is not in it. */
  usageOn(day: string): ReadonlyMap<string, number>
  /**
   * What this service has come to, counting on from what `usageOn` told it first on this day: replaces what is kept for these keys,
   * and forgets all other days.
   */
  setUsage(day: string, bytes: ReadonlyMap<string, number>): void
  /** So many bytes more, for each of these keys. Forgets all other days. */
  addUsage(day: string, bytes: ReadonlyMap<string, number>): void
  /** In no order. */
  keys(): readonly StoredKey[]
  /** Throws when there is one of this id. */
  addKey(stored: StoredKey): void
  setKeyUsed(id: string, at: number): void
  /** Safe for an id that is not there. */
  removeKey(id: string): void
  /** `hash`: what stands for owner and sticky key. Also one that has ended, as long as it is remembered. */
  session(hash: string): StoredSession | undefined
  /** In no order. */
  sessions(): Iterable<readonly [hash: string, session: StoredSession]>
  /** `undefined` forgets it. */
  setSession(hash: string, session: StoredSession | undefined): void
  /** Forgets all that ended before then. */
  forgetSessions(endedBefore: number): void
  /** What each replica has counted of its checks, by replica. */
  checkStatistics(): ReadonlyMap<string, Json>
  setCheckStatistics(replica: string, statistics: Json): void
  /** Told of what others have changed, once it holds here: never of what came by this store. Dispose to stop listening. */
  onChanged(listener: (change: StoreChange) => void): Disposable
}

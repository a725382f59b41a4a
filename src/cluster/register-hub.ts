import type { Write } from './lww-registers.ts'

export type NamedWrite = readonly [name: string, write: Write]

/** What the hub says of itself with each answer. */
export interface HubState {
  /** Another one: it was emptied. */
  readonly epoch: string
  /** Another one: it was started anew, or another has taken its place. It may lack what it has acknowledged. */
  readonly run: string
  /** Goes up by one with each write that it has taken. */
  readonly version: number
  /** Its clock, epoch ms. */
  readonly now: number
}

/** What was written after a version, in this order. A register that was written twice is only there the second time. */
export interface HubPage extends HubState {
  readonly writes: readonly NamedWrite[]
  /** Up to here nothing is left out. Below `version` there is more. */
  readonly next: number
}

export interface HubTaken extends HubState {
  /** The version before. */
  readonly before: number
}

/**
 * Where the replicas' registers meet: of each the newest write that it was given, all or nothing of what comes in one call. What is
 * beyond its time is forgotten. `valkey-registers.ts` is the real one; `test/contracts/register-hub-contract.ts` is its promise.
 */
export interface RegisterHub {
  readonly isUp: boolean
  /** Told when it goes and when it is back. */
  onChange(listener: (isUp: boolean) => void): Disposable
  /** Rejects with `StoreUnavailable`: then the writes may have been taken or not. To give them again does no harm. */
  push(writes: readonly NamedWrite[]): Promise<HubTaken>
  /** Rejects with `StoreUnavailable`. */
  pull(since: number, limit: number): Promise<HubPage>
  /** Told of the version after somebody's push, this replica's own among them. May be lost. */
  onNews(listener: (version: number) => void): Disposable
}

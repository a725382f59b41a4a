import type { Mode } from '../domain/exchange.ts'
import type { StoredKey } from '../domain/key.ts'
import type { DesiredState } from '../domain/worker.ts'

/** What survives a restart. `test/contracts/store-contract.ts` is the promise that every store keeps. */
export interface Store extends Disposable {
  /** 32 bytes that all identities derive from; made with `generate` the first time it is asked for. */
  poolSecret(generate: () => Buffer): Buffer
  mode(): Mode | undefined
  setMode(mode: Mode): void
  /** By worker id; a worker that the operator never touched is not in it. */
  desiredStates(): ReadonlyMap<string, DesiredState>
  setDesiredState(workerId: string, desired: DesiredState): void
  /** Bytes by key id on this day (`2026-11-26`, UTC); a key that has used none is not in it. */
  usageOn(day: string): ReadonlyMap<string, number>
  /** Replaces what is kept for these keys, and forgets all other days. */
  setUsage(day: string, bytes: ReadonlyMap<string, number>): void
  /** In no order. */
  keys(): readonly StoredKey[]
  /** Throws when there is one of this id. */
  addKey(stored: StoredKey): void
  setKeyUsed(id: string, at: number): void
  /** Safe for an id that is not there. */
  removeKey(id: string): void
}

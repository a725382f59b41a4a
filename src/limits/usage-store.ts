/** What every key has used on one day, across restarts. `test/contracts/usage-store-contract.ts` is the promise that every one keeps. */
export interface UsageStore {
  /** Bytes by key id on this day (`2026-11-26`, UTC); a key that has used none is not in it. */
  usageOn(day: string): ReadonlyMap<string, number>
  /** Replaces what is kept for these keys, and forgets all other days: none of them will be asked for again. */
  setUsage(day: string, bytes: ReadonlyMap<string, number>): void
}

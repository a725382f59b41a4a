/** Which replica heals which worker. */

/** A worker is this replica's to probe and to heal. */
export interface HealerLease {
  readonly worker: string
  /** The fencing token: higher than that of whoever had the worker before. */
  readonly token: number
}

/**
 * Each worker that several replicas reach is watched over by one of them. A lease lasts 6 s and is renewed every 2 s; the replicas
 * share the workers evenly (rendezvous hashing over those that live), and one's that died are taken over within 10 s. A lease is
 * held here only as long as nobody else can have got it, whatever the store says later: while the store is down all of them end,
 * and nobody heals.
 */
export interface HealerLeases extends AsyncDisposable {
  /** Undefined while it is another's, or nobody's. Free to call. */
  held(worker: string): HealerLease | undefined
  /** The replica that has it, as far as is known. */
  holder(worker: string): string | undefined
  /** Told when a lease of this replica begins or ends. */
  onChange(listener: (worker: string) => void): Disposable
  /** The operator's order came here: takes the lease from whoever has it. Rejects with `StoreUnavailable`, or the signal's reason. */
  seize(worker: string, signal: AbortSignal): Promise<HealerLease>
  /** While it is healed it stays here, though it belong elsewhere. Dispose when it is healed. */
  keep(worker: string): Disposable
  /** The workers that are shared, from now on: not those that only this replica has. */
  setWorkers(ids: readonly string[]): void
}

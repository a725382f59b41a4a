/** What a monitor has of a worker that several gateways reach: one of them heals it, and what one sees the others hear. */
export interface SharedWatch {
  /** Whether its Tor is no process of any gateway: it was most likely up before this one started. */
  readonly isReachedByAll: boolean
  /** The token of the lease to heal it; undefined while it is another's to heal, or nobody's. Free to call. */
  fence(): number | undefined
  /** Who heals it, as far as is known. */
  healer(): string | undefined
  /** While it is healed it stays ours to heal. Dispose when that has ended. */
  keep(): Disposable
  /** It is ours to heal from then on. Rejects when that cannot be had, and with the signal's reason. */
  seize(signal: AbortSignal): Promise<unknown>
  elsewhere(): Elsewhere
  /** Told of what is new elsewhere. Dispose to stop listening. */
  onChange(listener: (change: SharedChange) => void): Disposable
  /** What is told the others of it, again and again; undefined: nothing. Dispose to tell no more. */
  report(make: () => WatchReport | undefined): Disposable
  /** At once: `failing` to who heals it, `lost` to all. */
  tell(news: 'failing' | 'lost'): void
}

/** Instants are those of `clock.monotonic()`. */
export interface Elsewhere {
  /** So long no regular probe of ours would find anything new: who heals it has found it well just now. */
  readonly wellUntil: number
  readonly isHealed: boolean
  /** Who finds it well just now, by what it sees itself, although whoever heals it does not. */
  readonly wellFor: string | undefined
  readonly reboots: readonly number[]
}

export type SharedChange =
  /** The lease began or ended here. */
  | 'lease'
  /** Whoever heals it does not find it well any more, or finds it well again. */
  | 'doubted'
  | 'trusted'
  /** Another one sees it fail. It is ours to heal. */
  | 'failing'
  /** Another one has lost it. */
  | 'lost'
  /** It is healed elsewhere, or is no more, or was rebooted. */
  | 'healing'

export interface WatchReport {
  readonly state: 'well' | 'ill' | 'healing'
  /** When it was last seen to work. */
  readonly provenAt: number
  readonly reboots: readonly number[]
}

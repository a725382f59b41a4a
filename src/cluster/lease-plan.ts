/** Who should have which worker, and what a replica asks of the store for that. Pure; `valkey-leases.ts` does it. */

/** What the store has of one worker. */
export interface LeaseEntry {
  readonly worker: string
  readonly token: number
  /** Whose it is; empty: nobody's. */
  readonly run: string
  /** Zero or less: it has run out, and whoever comes first gets it. */
  readonly leftMs: number
  /** Who waits for it; empty: nobody, as far as is known. */
  readonly wanter: string
  /** By an operator's order, so that nothing keeps it. */
  readonly isDemanded: boolean
}

export type LeaseRequest = { readonly worker: string } & (
  | { readonly type: 'renew' | 'release'; readonly token: number }
  /** `claim`: it belongs here, so whoever has it is told. `take`: only if nobody has it. `seize`: by an operator's order. */
  | { readonly type: 'claim' | 'take' | 'seize' }
)

export interface LeaseSituation {
  readonly self: { readonly replica: string; readonly run: string }
  readonly workers: readonly string[]
  /** Tokens of what is held here. */
  readonly held: ReadonlyMap<string, number>
  /** Tokens of what is given up here; it goes once nothing is being done to the worker any more. */
  readonly leaving: ReadonlyMap<string, number>
  readonly seized: ReadonlySet<string>
  /** Whether it is known who lives: not yet by one that has just come. */
  readonly isSettled: boolean
  isKept(worker: string): boolean
  /** Whether it has been nobody's for so long that whoever it belongs to does not want it, or does not have it. */
  isOrphaned(worker: string): boolean
  ownerOf(worker: string): string | undefined
}

/** What to ask of the store, all in one call. */
export function planLeases(situation: LeaseSituation): readonly LeaseRequest[] {
  const { self, workers, held, leaving, seized, isSettled } = situation
  const requests: LeaseRequest[] = []
  for (const [worker, token] of leaving) {
    if (!situation.isKept(worker)) requests.push({ type: 'release', worker, token })
  }
  for (const [worker, token] of held) requests.push({ type: 'renew', worker, token })
  for (const worker of workers) {
    if (held.has(worker) || leaving.has(worker)) continue
    if (seized.has(worker)) requests.push({ type: 'seize', worker })
    else if (!isSettled) continue
    else if (situation.ownerOf(worker) === self.replica) requests.push({ type: 'claim', worker })
    else if (situation.isOrphaned(worker)) requests.push({ type: 'take', worker })
  }
  return requests
}

/** Whether what is held here is to be given to who waits for it. What belongs here, as far as is known here, stays. */
export function isToBeGiven(
  entry: LeaseEntry,
  situation: Pick<LeaseSituation, 'self' | 'isKept' | 'ownerOf'>,
): boolean {
  const { worker, wanter, isDemanded } = entry
  const { run, replica } = situation.self
  if (wanter === '' || wanter === run) return false
  return isDemanded || !(situation.isKept(worker) || situation.ownerOf(worker) === replica)
}

export function isFree(entry: LeaseEntry | undefined): boolean {
  return entry === undefined || entry.run === '' || entry.leftMs <= 0
}

/**
 * The owner of each worker, by rendezvous hashing: each replica has its share, and one that comes or goes takes or leaves only its
 * own. The same on all replicas that know of the same others.
 */
export function ownersOf(workers: readonly string[], replicas: readonly string[]): ReadonlyMap<string, string> {
  const owners = new Map<string, string>()
  for (const worker of workers) {
    let best = Number.NEGATIVE_INFINITY
    for (const replica of replicas) {
      const weight = weigh(`${replica} ${worker}`)
      if (weight <= best) continue
      best = weight
      owners.set(worker, replica)
    }
  }
  return owners
}

/** FNV-1a, its bits mixed as MurmurHash3 does: names that differ in one digit shall not have like weights. */
function weigh(text: string): number {
  let hash = 0x811c9dc5
  for (let i = 0; i < text.length; i++) hash = Math.imul(hash ^ text.charCodeAt(i), 0x01000193)
  hash = Math.imul(hash ^ (hash >>> 16), 0x85ebca6b)
  hash = Math.imul(hash ^ (hash >>> 13), 0xc2b2ae35)
  return (hash ^ (hash >>> 16)) >>> 0
}

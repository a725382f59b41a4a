/** Which workers a replica has beside those of its own configuration. Pure. */
import { createHash } from 'node:crypto'
import type { PortAddress } from './worker-port/secured.ts'

/** What a replica offers to the others. */
export interface Announcement {
  /** Its worker port, as others dial it. */
  readonly at: PortAddress
  /** The ids of the workers, as of `sharedWorkerId`. */
  readonly workers: readonly string[]
}

/** A worker of another replica that this one may use. */
export interface PeerWorker {
  readonly id: string
  readonly replica: string
}

export interface Placement {
  /** By id. */
  readonly peers: readonly PeerWorker[]
  /** Those that cannot be told from others: nobody but their own replicas uses them. */
  readonly refused: readonly (PeerWorker & { readonly reason: string })[]
}

const MAX_ID = 32
const HASH = 6

/**
 * The name of a local worker that is offered, the same for all replicas: `gw2-tor01`. Its own replica has to use it, too, as who serves a
 * sticky key is chosen by names. It is of letters, digits and hyphens, as every worker's; `gw2/tor01` or `gw2.tor01` would have to
 * be escaped in URLs, user names of proxies and names of metrics. What is too long keeps its beginning, and gets digits of a hash.
 */
export function sharedWorkerId(replica: string, id: string): string {
  const name = `${replica}-${id}`
  if (name.length <= MAX_ID) return name
  const digits = createHash('sha256').update(`${replica} ${id}`).digest('hex').slice(0, HASH)
  return `${name.slice(0, MAX_ID - HASH - 1).replace(/-+$/, '')}-${digits}`
}

/**
 * `own`: the ids of all workers of our configuration, as others know them. `gw` with `a-tor01` and `gw-a` with `tor01` are two workers of
 * one name: whoever would use one of them could mean the other.
 */
export function placement(
  self: string,
  own: readonly string[],
  announced: ReadonlyMap<string, Announcement>,
): Placement {
  const offers = [...announced]
    .filter(([replica]) => replica !== self)
    .flatMap(([replica, { workers }]) => [...new Set(workers)].map((id) => ({ id, replica })))
    .sort((a, b) => (a.id < b.id ? -1 : a.id > b.id ? 1 : a.replica < b.replica ? -1 : 1))
  const ours = new Set(own)
  const replicasOf = Map.groupBy(offers, ({ id }) => id)
  const peers: PeerWorker[] = []
  const refused: (PeerWorker & { reason: string })[] = []
  for (const offer of offers) {
    const others = (replicasOf.get(offer.id) ?? []).map(({ replica }) => replica)
    if (ours.has(offer.id)) refused.push({ ...offer, reason: `${self} has a worker of this id, too` })
    else if (others.length > 1) refused.push({ ...offer, reason: `${others.join(' and ')} offer a worker of this id` })
    else peers.push(offer)
  }
  return { peers, refused }
}

/** What is to be taken in and to be let go of to come from one placement to another. A replica that has moved changes nothing. */
export function changesOf(
  before: readonly PeerWorker[],
  after: readonly PeerWorker[],
): { readonly added: readonly PeerWorker[]; readonly removed: readonly PeerWorker[] } {
  const missingIn = (those: readonly PeerWorker[]) => {
    const names = new Map(those.map(({ id, replica }) => [id, replica]))
    return ({ id, replica }: PeerWorker) => names.get(id) !== replica
  }
  return { added: after.filter(missingIn(before)), removed: before.filter(missingIn(after)) }
}

import { isIP } from 'node:net'
import type { Clock } from '../lib/clock.ts'
import { isRecord, type Json } from '../lib/json.ts'
import { Listeners } from '../lib/listeners.ts'
import type { Announcement } from './placement.ts'
import type { Member, Presence } from './presence.ts'

const TOPIC = 'workers'
const MAX_WORKERS = 1_000

export interface WorkerAnnouncementsOptions {
  readonly presence: Pick<Presence, 'self' | 'members' | 'onChange' | 'report' | 'onReport'>
  readonly clock: Clock
  /** What we offer, asked once a second. Undefined while our worker port is off. */
  readonly own: () => Announcement | undefined
  /** How long the workers of a replica that has gone stay: it may be on its way back, and whoever uses them has lost them anyway. */
  readonly keepMs?: number
  /** A listener has thrown. */
  readonly onError: (error: unknown) => void
}

const KEEP_MS = 60_000

interface Announced {
  readonly from: Member
  readonly announcement: Announcement
}

/** What the replicas tell each other of the workers that they offer. Dispose it to tell and hear no more. */
export class WorkerAnnouncements implements Disposable {
  readonly #options: WorkerAnnouncementsOptions
  readonly #announced = new Map<string, Announced>()
  /** Of replicas that have gone: when they are forgotten. */
  readonly #going = new Map<string, Disposable>()
  readonly #changes: Listeners<void>
  readonly #ends = new DisposableStack()

  constructor(options: WorkerAnnouncementsOptions) {
    const { presence, own, onError } = options
    this.#options = options
    this.#changes = new Listeners(onError)
    this.#ends.use(
      presence.report(TOPIC, () => {
        const ours = own()
        return ours && { at: { ...ours.at }, workers: [...ours.workers] }
      }),
    )
    this.#ends.use(presence.onReport(TOPIC, (from, payload) => this.#hear(from, payload)))
    this.#ends.use(presence.onChange(() => this.#look()))
  }

  /** What each other replica offers, by its name. */
  get announced(): ReadonlyMap<string, Announcement> {
    return new Map([...this.#announced].map(([replica, { announcement }]) => [replica, announcement]))
  }

  /** Where the worker port of a replica is, as it said last. */
  at(replica: string): Announcement['at'] | undefined {
    return this.#announced.get(replica)?.announcement.at
  }

  /** Told when `announced` is another one. Dispose to stop listening. */
  onChange(listener: () => void): Disposable {
    return this.#changes.add(listener)
  }

  [Symbol.dispose](): void {
    this.#ends.dispose()
    for (const timer of this.#going.values()) timer[Symbol.dispose]()
    this.#going.clear()
  }

  #hear(from: Member, payload: Json): void {
    const { replica, run, startedAt } = from
    const announcement = read(payload)
    if (announcement === undefined || replica === this.#options.presence.self.replica) return
    const known = this.#announced.get(replica)
    // The last words of a run before this one.
    if (known && known.from.run !== run && known.from.startedAt > startedAt) return
    this.#going.get(replica)?.[Symbol.dispose]()
    this.#going.delete(replica)
    this.#announced.set(replica, { from, announcement })
    if (!isSame(known?.announcement, announcement)) this.#changes.notify()
  }

  #look(): void {
    // By their runs: one that was started anew may offer nothing any more, and then it says nothing of it.
    const there = new Set(this.#options.presence.members().map(({ run }) => run))
    const { clock, keepMs = KEEP_MS } = this.#options
    for (const [replica, { from }] of this.#announced) {
      if (there.has(from.run)) {
        this.#going.get(replica)?.[Symbol.dispose]()
        this.#going.delete(replica)
      } else if (!this.#going.has(replica))
        this.#going.set(
          replica,
          clock.timer(keepMs, () => this.#forget(replica)),
        )
    }
  }

  #forget(replica: string): void {
    this.#going.delete(replica)
    if (this.#announced.delete(replica)) this.#changes.notify()
  }
}

/** Undefined for what is none: of another version, or nonsense. A name for a host is none, as nothing resolves it. */
function read(payload: Json): Announcement | undefined {
  if (!isRecord(payload) || !isRecord(payload.at) || !Array.isArray(payload.workers)) return undefined
  const { host, port } = payload.at
  if (typeof host !== 'string' || isIP(host) === 0 || host.includes('%')) return undefined
  if (typeof port !== 'number' || !Number.isInteger(port) || port < 1 || port > 0xffff) return undefined
  const workers = payload.workers.filter(
    (id): id is string => typeof id === 'string' && /^[a-z][a-z0-9-]{0,31}$/.test(id),
  )
  return { at: { host, port }, workers: workers.slice(0, MAX_WORKERS) }
}

function isSame(one: Announcement | undefined, other: Announcement): boolean {
  return (
    one !== undefined &&
    one.at.host === other.at.host &&
    one.at.port === other.at.port &&
    one.workers.length === other.workers.length &&
    one.workers.every((id, n) => other.workers[n] === id)
  )
}

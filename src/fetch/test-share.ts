/** Shares for tests: replicas that know of each other's sessions when they are told to. */
import type { SessionName } from './session.ts'
import type { SessionShare, SharedListing, SharedSession } from './session-share.ts'

interface Written {
  readonly name: SessionName
  readonly session: SharedSession | undefined
  /** What is written last holds, then what the last replica has written. */
  readonly at: number
  readonly by: number
}

/** One replica's. What it writes waits until it is sent. */
export class TestShare implements SessionShare {
  readonly #replica: number
  readonly #now: () => number
  readonly #known = new Map<string, Written>()
  readonly #unsent = new Map<TestShare, Map<string, Written>>()
  readonly #listeners = new Set<(id: string) => void>()
  writes = 0

  constructor(replica: number, now: () => number) {
    this.#replica = replica
    this.#now = now
  }

  /** Shares that know of each other. `now`: stamps of writes, each later than the one before. */
  static several(count: number): readonly TestShare[] {
    let stamp = 0
    const shares = Array.from({ length: count }, (_, replica) => new TestShare(replica, () => ++stamp))
    for (const share of shares) for (const other of shares) if (other !== share) share.#unsent.set(other, new Map())
    return shares
  }

  /** Lets another one know what was written here since the last time. */
  sendTo(other: TestShare): void {
    const unsent = this.#unsent.get(other)
    this.#unsent.set(other, new Map())
    for (const [id, written] of unsent ?? []) other.#take(id, written)
  }

  /** Whether there is something that others do not know. */
  get hasUnsent(): boolean {
    return [...this.#unsent.values()].some(({ size }) => size > 0)
  }

  idOf({ owner, key }: SessionName): string {
    return `#${owner}#${key}`
  }

  keeps(): boolean {
    return true
  }

  read(id: string): SharedSession | undefined {
    return this.#known.get(id)?.session
  }

  progressOf(id: string): SharedSession | undefined {
    return this.read(id)
  }

  get isEmpty(): boolean {
    return this.#known.size === 0
  }

  write(id: string, name: SessionName, session: SharedSession | undefined): void {
    this.writes++
    const written = { name, session, at: this.#now(), by: this.#replica }
    this.#known.set(id, written)
    for (const unsent of this.#unsent.values()) unsent.set(id, written)
  }

  forget(id: string): void {
    const known = this.#known.get(id)
    if (known !== undefined) this.write(id, known.name, undefined)
  }

  list({ owner, limit, isKnown }: SharedListing): readonly (SessionName & SharedSession)[] {
    return [...this.#known]
      .flatMap(([id, { name, session }]) =>
        session === undefined || isKnown(id) || session.isOver ? [] : [{ ...name, ...session }],
      )
      .filter((session) => owner === undefined || session.owner === owner)
      .slice(0, limit)
  }

  onChange(listener: (id: string) => void): Disposable {
    this.#listeners.add(listener)
    return { [Symbol.dispose]: () => this.#listeners.delete(listener) }
  }

  #take(id: string, written: Written): void {
    const known = this.#known.get(id)
    if (known !== undefined && (known.at > written.at || (known.at === written.at && known.by >= written.by))) return
    this.#known.set(id, written)
    for (const listener of this.#listeners) listener(id)
  }
}

/** Until nobody has anything to say any more. */
export function sendAll(shares: readonly TestShare[]): void {
  for (let turn = 0; shares.some(({ hasUnsent }) => hasUnsent); turn++) {
    if (turn > 20) throw new Error('They never agree')
    for (const share of shares) for (const other of shares) if (other !== share) share.sendTo(other)
  }
}

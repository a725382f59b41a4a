import type { Member } from './presence.ts'

/** A member goes after so much silence: three beats that did not come. */
const SILENCE_MS = 3_000
/** An echo that comes later than this shows that the store, or we ourselves, stood still: no silence of others'. */
const MOST_GAP_MS = 1_500
/** So many runs that have gone are remembered, so that nothing of theirs that is said again brings them back. */
const MOST_GONE = 1_000

interface Heard {
  readonly member: Member
  silentMs: number
}

/**
 * Who lives, judged by what is heard. Silence is counted by our own beats that came back: while the store or this process stands
 * still nothing comes back, and nobody goes; nor at once afterwards, when what had piled up comes in any order. Pure but for its
 * memory: instants are those of `clock.monotonic()`.
 */
export class RollCall {
  readonly #self: Member
  readonly #heard = new Map<string, Heard>()
  /** The highest number that was heard of each run, those that have gone included: the latest is the last. */
  readonly #numbers = new Map<string, number>()
  #echoAt: number | undefined
  #members: readonly Member[]

  constructor(self: Member) {
    this.#self = self
    this.#members = [self]
  }

  /** By name. The same array as long as nothing changes. */
  get members(): readonly Member[] {
    return this.#members
  }

  /** Whether it is news: what was heard before, or after what followed it, is not. */
  isNew(member: Member, number: number): boolean {
    const last = this.#numbers.get(member.run) ?? Number.NEGATIVE_INFINITY
    if (number <= last) return false
    this.#numbers.delete(member.run)
    this.#numbers.set(member.run, number)
    this.#forgetOldest()
    return true
  }

  /** Its sign of life came. Returns whether the members are others now. */
  lives(member: Member): boolean {
    this.#heard.set(member.run, { member, silentMs: 0 })
    return this.#list()
  }

  /** It said goodbye. */
  leaves(run: string): boolean {
    this.#heard.delete(run)
    return this.#list()
  }

  /** A beat of our own came back. */
  echoed(now: number): boolean {
    const gap = Math.min(now - (this.#echoAt ?? now), MOST_GAP_MS)
    this.#echoAt = now
    for (const [run, heard] of this.#heard) {
      heard.silentMs += gap
      if (heard.silentMs >= SILENCE_MS) this.#heard.delete(run)
    }
    return this.#list()
  }

  /** Of those that have one name only the latest counts: it was restarted, and its first run has not been missed yet. */
  #list(): boolean {
    const byName = new Map<string, Member>()
    for (const { member } of this.#heard.values()) {
      const other = byName.get(member.replica)
      if (other === undefined || isLater(member, other)) byName.set(member.replica, member)
    }
    byName.set(this.#self.replica, this.#self)
    const members = [...byName.values()].sort((a, b) => (a.replica < b.replica ? -1 : 1))
    if (members.length === this.#members.length && members.every(({ run }, i) => run === this.#members[i]?.run)) {
      return false
    }
    this.#members = members
    return true
  }

  #forgetOldest(): void {
    for (const run of this.#numbers.keys()) {
      if (this.#numbers.size <= MOST_GONE) return
      if (!this.#heard.has(run)) this.#numbers.delete(run)
    }
  }
}

function isLater(one: Member, other: Member): boolean {
  return one.startedAt === other.startedAt ? one.run > other.run : one.startedAt > other.startedAt
}

import type { Circuit } from '../tor/control/events/circuit.ts'
import type { ControlEvent } from '../tor/control/events/event.ts'
import type { Stream } from '../tor/control/events/stream.ts'
import { leadsToExit, userOf } from './circuits.ts'

/**
 * Numbers of a storm. Where no exit takes a stream (its port, or IPv6), Tor does not give up but builds circuits to exits that
 * will not do, hundreds a second, until the client hangs up. Relays that see more than 3 circuits/s for long refuse the
 * client's address for an hour or more: its other workers', too.
 */
export interface StormPolicy {
  /**
   * Circuits built for one identity that had one stream within the window; one more for each further stream. A name that
   * does not resolve takes 3.
   */
  readonly maxForOne: number
  readonly oneWindowMs: number
  /** Circuits launched in all while one stream waits. */
  readonly maxInAll: number
  readonly allWindowMs: number
  /**
   * Each further stream that waits explains so many circuits, one more than a name takes that does not resolve: many new
   * identities at once are no storm.
   */
  readonly perFurtherStream: number
}

export const STORM_POLICY: StormPolicy = {
  maxForOne: 10,
  oneWindowMs: 10_000,
  maxInAll: 10,
  allWindowMs: 1_000,
  perFurtherStream: 4,
}

/** A busy identity has more streams than are worth remembering: its storm is stopped at so many circuits and a few. */
const MAX_ARRIVALS = 64
const MAX_REMEMBERED = 2 * MAX_ARRIVALS
/** More circuits than a Tor has at the same time. */
const MAX_CLAIMED = 10_000

/** The stream to close, and what Tor did for it. */
export interface Storm {
  readonly streamId: string
  readonly circuits: number
  /** Since the stream's beginning. */
  readonly ms: number
}

interface UserStream {
  readonly user: string
  readonly since: number
  /** On no circuit: new, or taken off one that would not do. */
  isWaiting: boolean
}

/**
 * Tells from CIRC and STREAM events that a stream causes a storm of circuits. Pure: time comes in, and the stream to close goes
 * out, each stream once at most. A circuit is known to be for an identity from its first hop on, not at its launch; so the
 * launches of all are counted, too, against the case that Tor should not say for whom they are.
 */
export class StormFuse {
  readonly #policy: StormPolicy
  readonly #streams = new Map<string, UserStream>()
  /** Circuits that are under way and not yet counted for anybody. */
  readonly #unclaimed = new Set<string>()
  /** Circuits that were counted for an identity. */
  readonly #claimed = new Set<string>()
  /** When each identity that has streams got circuits, and when its streams came. */
  readonly #claims = new Map<string, { readonly circuits: number[]; readonly arrivals: number[] }>()
  #launches: number[] = []
  /** When streams came, those that are gone again included. */
  #arrivals: number[] = []

  constructor(policy: StormPolicy = STORM_POLICY) {
    this.#policy = policy
  }

  /** `now` is in milliseconds and never goes back. */
  handle(event: ControlEvent, now: number): Storm | undefined {
    if (event.type === 'CIRC') return this.#circuit(event, now)
    return event.type === 'STREAM' ? this.#stream(event, now) : undefined
  }

  #circuit(circuit: Circuit, now: number): Storm | undefined {
    const isGone = circuit.status === 'CLOSED' || circuit.status === 'FAILED'
    if (isGone) this.#claimed.delete(circuit.id)
    if (!leadsToExit(circuit)) return undefined
    if (circuit.status === 'LAUNCHED') {
      this.#unclaimed.add(circuit.id)
      this.#launches = recent(this.#launches, now, this.#policy.allWindowMs)
      this.#launches.push(now)
      return this.#stormInAll(now)
    }
    const user = circuit.socksUsername
    const isClaimed = user !== undefined && this.#unclaimed.delete(circuit.id)
    if (circuit.status !== 'EXTENDED') this.#unclaimed.delete(circuit.id)
    if (!isClaimed) return undefined
    if (!isGone) this.#claim(circuit.id)
    return this.#stormOfOne(user, now)
  }

  #stream(event: Stream, now: number): Storm | undefined {
    const { id, status, purpose } = event
    const user = userOf(event)
    const stream = this.#streams.get(id)
    switch (status) {
      case 'NEW':
        if (purpose !== 'USER' || user === undefined) break
        this.#streams.set(id, { user, since: now, isWaiting: true })
        this.#arrivals = recent(this.#arrivals, now, this.#policy.allWindowMs)
        this.#arrivals.push(now)
        this.#claimsOf(user, now).arrivals.push(now)
        break
      case 'DETACHED':
        if (stream === undefined) break
        stream.isWaiting = true
        return this.#usedUp(event.circuitId, stream.user, now)
      case 'SENTCONNECT':
        if (stream) stream.isWaiting = false
        break
      case 'SUCCEEDED':
      case 'FAILED':
      case 'CLOSED':
        if (stream) this.#forget(id, stream.user)
        break
    }
    return undefined
  }

  /** A circuit would not do that was built for nobody, ahead: it is the identity's no less than one that is built for it. */
  #usedUp(circuitId: string | undefined, user: string, now: number): Storm | undefined {
    if (circuitId === undefined || this.#claimed.has(circuitId)) return undefined
    this.#claim(circuitId)
    return this.#stormOfOne(user, now)
  }

  /** The end of a circuit may be told before that of its streams, and then nothing tells when to drop it. */
  #claim(circuitId: string): void {
    if (this.#claimed.size >= MAX_CLAIMED) this.#claimed.clear()
    this.#claimed.add(circuitId)
  }

  #stormOfOne(user: string, now: number): Storm | undefined {
    if (!this.#claims.has(user)) return undefined
    const { maxForOne, oneWindowMs } = this.#policy
    const { circuits, arrivals } = this.#claimsOf(user, now)
    circuits.push(now)
    const waiting = this.#waiting().filter(([, stream]) => stream.user === user)
    // A busy identity gets circuits for streams that are served by now, and all at once when its circuit breaks.
    const isOld = ({ since }: UserStream) => since <= now - oneWindowMs
    const causes = arrivals.length + waiting.filter(([, stream]) => isOld(stream)).length
    return circuits.length > maxForOne + causes - 1 ? this.#stop(waiting, circuits.length, now) : undefined
  }

  #stormInAll(now: number): Storm | undefined {
    const { maxInAll, perFurtherStream, allWindowMs } = this.#policy
    const waiting = this.#waiting()
    const isOld = ({ since }: UserStream) => since <= now - allWindowMs
    const causes =
      recent(this.#arrivals, now, allWindowMs).length + waiting.filter(([, stream]) => isOld(stream)).length
    const allowed = maxInAll + perFurtherStream * (causes - 1)
    return this.#launches.length > allowed ? this.#stop(waiting, this.#launches.length, now) : undefined
  }

  /** The one that has waited longest is to blame: others are served meanwhile. */
  #stop([oldest]: readonly (readonly [string, UserStream])[], circuits: number, now: number): Storm | undefined {
    if (oldest === undefined) return undefined
    const [streamId, { user, since }] = oldest
    this.#forget(streamId, user)
    // Its circuits count against no other stream.
    this.#claims.delete(user)
    this.#launches = []
    return { streamId, circuits, ms: now - since }
  }

  /** What the window holds of the identity. */
  #claimsOf(user: string, now: number) {
    const { circuits, arrivals } = this.#claims.get(user) ?? { circuits: [], arrivals: [] }
    const { oneWindowMs } = this.#policy
    const claims = {
      circuits: recent(circuits, now, oneWindowMs).slice(-MAX_REMEMBERED),
      arrivals: recent(arrivals, now, oneWindowMs).slice(-MAX_ARRIVALS),
    }
    this.#claims.set(user, claims)
    return claims
  }

  /** In the order of their beginning. */
  #waiting(): (readonly [string, UserStream])[] {
    return [...this.#streams].filter(([, { isWaiting }]) => isWaiting)
  }

  #forget(id: string, user: string): void {
    this.#streams.delete(id)
    for (const stream of this.#streams.values()) if (stream.user === user) return
    this.#claims.delete(user)
  }
}

/** The instants are in order, and mostly recent: those that are not are dropped from their beginning. */
function recent(instants: number[], now: number, ms: number): number[] {
  const first = instants.findIndex((at) => at > now - ms)
  if (first === 0) return instants
  return first === -1 ? [] : instants.slice(first)
}

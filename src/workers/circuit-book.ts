import type { Circuit } from '../tor/control/events/circuit.ts'
import type { ControlEvent } from '../tor/control/events/event.ts'
import type { Stream } from '../tor/control/events/stream.ts'
import { leadsToExit, userOf } from './circuits.ts'

interface Entry {
  isBuilt: boolean
  leadsToExit: boolean
  /** Whose streams it carries, or for whom Tor builds it. Undefined: for whoever comes first. */
  user: string | undefined
  /**
   * A stream of its user has been on it. Until then it may become another's: when one that was begun for an identity is built and no
   * stream of that identity wants it any more, Tor takes it for a clean one.
   */
  isUsed: boolean
  /** A stream has been on it that was another's, or nobody's: it is no one identity's alone. */
  isShared: boolean
  /** New streams do not go on it, as it is from before the order for new circuits. */
  isRetired: boolean
  confluxId: string | undefined
  /** Streams that are on it now. */
  readonly streams: Set<string>
}

/** A stream of nobody's in particular: one without a user name, of another program on the same Tor. */
const NOBODY = ''

/**
 * Which circuits are clean, that is built to an exit and never yet used, so that Tor gives them to the next identity; and which
 * circuits each identity has. Learned from CIRC, CIRC_MINOR, STREAM and SIGNAL events, and pure. An identity is what `userOf`
 * tells: the SOCKS user name, or the source address.
 */
export class CircuitBook {
  readonly #entries = new Map<string, Entry>()
  readonly #clean = new Set<string>()
  /** On their way and not for an identity, as far as is known: clean ones to be. */
  readonly #coming = new Set<string>()
  readonly #byUser = new Map<string, Set<string>>()
  readonly #circuitOfStream = new Map<string, string>()
  /** By stream: where it comes from. Only its first event tells. */
  readonly #sources = new Map<string, string>()

  /** Built to an exit, and used by nobody. */
  get clean(): number {
    return this.#clean.size
  }

  /** Circuits to exits that Tor is building, be it by our order or by itself, and not for an identity so far as it tells. */
  get coming(): number {
    return this.#coming.size
  }

  /** Whether new streams of the identity have a circuit to go on. */
  has(user: string): boolean {
    for (const id of this.#byUser.get(user) ?? []) {
      const entry = this.#entries.get(id)
      if (entry?.isBuilt && !entry.isRetired) return true
    }
    return false
  }

  /** Whether an identity's streams are or were on it, or it was begun for one. */
  isTaken(id: string): boolean {
    return this.ownerOf(id) !== undefined
  }

  /** Whose streams are or were on the circuit, or for whom it was begun. */
  ownerOf(id: string): string | undefined {
    return this.#entries.get(id)?.user
  }

  /** Whether streams of the identity are on circuits of its own now. */
  isBusy(user: string): boolean {
    for (const id of this.#byUser.get(user) ?? []) if (this.#entries.get(id)?.streams.size) return true
    return false
  }

  /**
   * The circuits that have carried this identity's streams alone and carry none now, with all legs of a Conflux set: what may be
   * closed when nobody will ask for it again. One that was only begun for it may be on its way to somebody else.
   */
  idleOf(user: string): readonly string[] {
    const all = [...(this.#byUser.get(user) ?? [])]
    // A set is not idle while any of its legs carries a stream.
    const busySets = new Set<string | undefined>()
    for (const id of all) {
      const { streams, confluxId } = this.#entries.get(id) ?? {}
      if (streams?.size && confluxId !== undefined) busySets.add(confluxId)
    }
    const own = all.filter((id) => this.#isIdleOf(user, id) && !busySets.has(this.#entries.get(id)?.confluxId))
    const sets = new Set(own.flatMap((id) => this.#entries.get(id)?.confluxId ?? []))
    if (sets.size === 0) return own
    const legs = [...this.#entries].filter(([, { confluxId }]) => confluxId !== undefined && sets.has(confluxId))
    return [...new Set([...own, ...legs.map(([id]) => id)])]
  }

  /** Whom a stream is for, also where this event of it does not tell. */
  userOf(stream: Stream): string | undefined {
    return stream.socksUsername ?? this.#sources.get(stream.id)
  }

  handle(event: ControlEvent): void {
    switch (event.type) {
      case 'CIRC':
        this.circuit(event)
        break
      case 'CIRC_MINOR':
        // It may have become one of Tor's own.
        if (this.#entries.has(event.circuit.id)) this.#describe(event.circuit)
        break
      case 'STREAM':
        this.#stream(event)
        break
      case 'SIGNAL':
        if (event.signal === 'NEWNYM') this.#retire()
        break
    }
  }

  /** A circuit of a snapshot. Tor has given up whom it was begun for if that was all, so whoever it names has used it. */
  adopt(circuit: Circuit): void {
    this.circuit(circuit)
    const entry = this.#entries.get(circuit.id)
    if (entry?.isBuilt && entry.user !== undefined) entry.isUsed = true
  }

  /** A circuit's newest state, from an event. */
  circuit(circuit: Circuit): void {
    const { id, status } = circuit
    if (status === 'CLOSED' || status === 'FAILED') {
      this.#drop(id)
      return
    }
    const entry = this.#describe(circuit)
    entry.isBuilt = status === 'BUILT'
    this.#sort(id, entry)
  }

  #describe(circuit: Omit<Circuit, 'status'>): Entry {
    const { id, socksUsername, confluxId } = circuit
    const entry = this.#entries.get(id) ?? {
      ...{
        isBuilt: false,
        leadsToExit: false,
        user: undefined,
        isUsed: false,
        isShared: false,
        isRetired: false,
        confluxId: undefined,
      },
      streams: new Set<string>(),
    }
    this.#entries.set(id, entry)
    entry.leadsToExit = leadsToExit(circuit)
    entry.confluxId = confluxId ?? entry.confluxId
    if (socksUsername !== undefined) this.#own(id, entry, socksUsername)
    this.#sort(id, entry)
    return entry
  }

  #stream(stream: Stream): void {
    const { id, status, circuitId } = stream
    switch (status) {
      case 'NEW':
      case 'NEWRESOLVE': {
        const source = stream.socksUsername === undefined ? userOf(stream) : undefined
        if (source !== undefined) this.#sources.set(id, source)
        break
      }
      case 'SENTCONNECT':
      case 'SENTRESOLVE':
      case 'SUCCEEDED': {
        const entry = this.#entries.get(circuitId ?? '')
        if (circuitId === undefined || entry === undefined) return
        this.#leave(id)
        this.#circuitOfStream.set(id, circuitId)
        entry.streams.add(id)
        this.#own(circuitId, entry, this.userOf(stream) ?? NOBODY)
        entry.isUsed = true
        this.#sort(circuitId, entry)
        break
      }
      case 'DETACHED':
        this.#leave(id)
        break
      case 'FAILED':
      case 'CLOSED':
        this.#leave(id)
        this.#sources.delete(id)
        break
    }
  }

  #own(id: string, entry: Entry, user: string): void {
    if (entry.user !== user && !entry.isUsed) this.#disown(id, entry)
    if (entry.user === user || (entry.user === undefined && user === NOBODY)) {
      if (user === NOBODY) entry.isShared = true
      return
    }
    if (entry.user !== undefined) {
      entry.isShared = true
      return
    }
    entry.user = user
    const own = this.#byUser.get(user) ?? new Set()
    this.#byUser.set(user, own.add(id))
  }

  #disown(id: string, entry: Entry): void {
    if (entry.user === undefined) return
    const own = this.#byUser.get(entry.user)
    own?.delete(id)
    if (own?.size === 0) this.#byUser.delete(entry.user)
    entry.user = undefined
  }

  #leave(streamId: string): void {
    const circuitId = this.#circuitOfStream.get(streamId)
    if (circuitId === undefined) return
    this.#circuitOfStream.delete(streamId)
    this.#entries.get(circuitId)?.streams.delete(streamId)
  }

  #sort(id: string, { isBuilt, leadsToExit, user, isShared }: Entry): void {
    const isFree = leadsToExit && user === undefined && !isShared
    toggle(this.#clean, id, isFree && isBuilt)
    toggle(this.#coming, id, isFree && !isBuilt)
  }

  #retire(): void {
    for (const entry of this.#entries.values()) if (entry.user !== undefined || entry.isShared) entry.isRetired = true
  }

  #drop(id: string): void {
    const entry = this.#entries.get(id)
    if (entry === undefined) return
    this.#entries.delete(id)
    this.#clean.delete(id)
    this.#coming.delete(id)
    for (const stream of entry.streams) this.#circuitOfStream.delete(stream)
    this.#disown(id, entry)
  }

  #isIdleOf(user: string, id: string): boolean {
    const entry = this.#entries.get(id)
    return entry?.user === user && entry.isUsed && !entry.isShared && entry.streams.size === 0
  }
}

function toggle(set: Set<string>, id: string, isIn: boolean): void {
  if (isIn) set.add(id)
  else set.delete(id)
}

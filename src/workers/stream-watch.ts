import type { Exit, PathRelay, Target } from '../domain/worker.ts'
import type { Clock } from '../lib/clock.ts'
import { within } from '../lib/within.ts'
import type { Circuit } from '../tor/control/events/circuit.ts'
import type { ControlEvent } from '../tor/control/events/event.ts'
import type { Stream } from '../tor/control/events/stream.ts'
import type { StreamReason } from './tor-problems.ts'

/** Circuit purposes that end at an onion service and so have no exit. */
const ONION_PURPOSE = /^HS_/

/**
 * By what events tell a stream of ours from others: over SOCKS by the user name and the target with which we asked for it,
 * over the TransPort by the address and port that it comes from.
 */
export type StreamKey =
  | { readonly user: string; readonly target: Target }
  | { readonly from: { readonly host: string; readonly port: number } }

/** Where a relay is. */
export type RelayPlace = Pick<Exit, 'address' | 'country'>

/** What became of a stream: the circuit that it is on, or why there is none. */
export type StreamOutcome = { readonly circuit: Circuit | undefined } | { readonly failure: StreamReason }

/** One stream that was asked for, waiting to be told what became of it. Dispose it when nobody asks any more. */
export interface ExpectedStream extends Disposable {
  /** Aborts, with the error to give to our caller, when the stream is not to be waited for any more. */
  readonly stopped: AbortSignal
  /** Resolves when Tor has taken the stream. */
  readonly taken: Promise<void>
  /** Resolves when the stream has succeeded or failed. For a stream that is told from all others, by where it comes from. */
  readonly settled: Promise<StreamOutcome>
  /** The circuit that it has succeeded on; undefined when Tor does not tell within `waitMs`. To be asked once, or `exit`. */
  circuit(waitMs: number): Promise<Circuit | undefined>
  /** The relay where its circuit leaves Tor; undefined for an onion service, or when Tor does not tell within `waitMs`. */
  exit(waitMs: number): Promise<Exit | undefined>
  /** Why it failed; undefined when Tor does not tell within `waitMs`. */
  failure(waitMs: number): Promise<StreamReason | undefined>
}

/**
 * Learns from STREAM and CIRC events which circuit each of our streams is on and why streams fail. When several of one
 * identity are on their way to one target over SOCKS at once, an outcome goes to any of those that had such an outcome:
 * they share a circuit, so the answer is the same.
 */
export class StreamWatch {
  readonly #clock: Clock
  readonly #placeOf: (fingerprint: string) => Promise<RelayPlace | undefined>
  readonly #circuits = new Map<string, Circuit>()
  /** The key of each stream that we asked for and that is still on its way. */
  readonly #keys = new Map<string, string>()
  readonly #waiting = new Map<string, Outcomes>()
  readonly #onNew: (stream: Stream) => void

  /**
   * `placeOf` tells where a relay is, by the consensus; it may be slow and may fail. `onNew` is told of each stream of
   * ours when Tor has taken it.
   */
  constructor(
    clock: Clock,
    placeOf: (fingerprint: string) => Promise<RelayPlace | undefined>,
    onNew: (stream: Stream) => void = () => {},
  ) {
    this.#clock = clock
    this.#placeOf = placeOf
    this.#onNew = onNew
  }

  /** How many circuits are built. */
  get built(): number {
    let count = 0
    for (const { status } of this.#circuits.values()) if (status === 'BUILT') count++
    return count
  }

  /** Call it before dialling. */
  expect(stream: StreamKey): ExpectedStream {
    const key = keyOf(stream)
    const outcomes = this.#waiting.get(key) ?? new Outcomes(this.#clock)
    this.#waiting.set(key, outcomes)
    outcomes.users++
    const taken = Promise.withResolvers<void>()
    outcomes.untaken.add(taken.resolve)
    let isOpen = true
    return {
      stopped: outcomes.stopped.signal,
      taken: taken.promise,
      settled: outcomes.settled.promise,
      circuit: (waitMs) => outcomes.succeeded.take(waitMs),
      exit: async (waitMs) => {
        const circuit = await outcomes.succeeded.take(waitMs)
        return circuit && (await this.exitOf(circuit, waitMs))
      },
      failure: (waitMs) => outcomes.failed.take(waitMs),
      [Symbol.dispose]: () => {
        if (!isOpen) return
        isOpen = false
        outcomes.untaken.delete(taken.resolve)
        if (--outcomes.users === 0 && this.#waiting.get(key) === outcomes) this.#waiting.delete(key)
      },
    }
  }

  /** Gives up a stream of ours, and all that are on their way for the same identity to the same target: they fare alike. */
  stop(streamId: string, error: Error): void {
    const key = this.#keys.get(streamId)
    if (key === undefined) return
    this.#waiting.get(key)?.stopped.abort(error)
    // Whoever asks again does so anew, and what becomes of these is not for them.
    this.#waiting.delete(key)
    for (const [id, other] of this.#keys) if (other === key) this.#keys.delete(id)
  }

  handle(event: ControlEvent): void {
    if (event.type === 'CIRC') this.circuit(event)
    else if (event.type === 'STREAM') this.#stream(event)
  }

  /** A circuit's newest state, from an event or from a snapshot. */
  circuit(circuit: Circuit): void {
    if (circuit.status === 'CLOSED' || circuit.status === 'FAILED') this.#circuits.delete(circuit.id)
    else this.#circuits.set(circuit.id, circuit)
  }

  circuitOf(id: string): Circuit | undefined {
    return this.#circuits.get(id)
  }

  /** Where a circuit leaves Tor, without its place when that is not known within `waitMs`. Never rejects. */
  async exitOf({ path, purpose }: Circuit, waitMs: number): Promise<Exit | undefined> {
    const last = path.at(-1)
    if (last === undefined || ONION_PURPOSE.test(purpose ?? '')) return undefined
    const { fingerprint, nickname = 'Unnamed' } = last
    const place = await within(this.#clock, waitMs, this.#placeOf(fingerprint)).catch(() => undefined)
    return { nickname, fingerprint, ...place }
  }

  /** The relays of a circuit, guard first, without the places that are not known within `waitMs`. Never rejects. */
  async pathOf({ path }: Circuit, waitMs: number): Promise<readonly PathRelay[]> {
    return await Promise.all(
      path.map(async ({ fingerprint, nickname = 'Unnamed' }) => {
        const place = await within(this.#clock, waitMs, this.#placeOf(fingerprint)).catch(() => undefined)
        return { nickname, fingerprint, ...(place?.country !== undefined && { country: place.country }) }
      }),
    )
  }

  #stream(stream: Stream): void {
    // The target of later events may be the address that the name stands for; NEW has what we asked for.
    if (stream.status === 'NEW') {
      const key = keyOfStream(stream)
      const outcomes = key && this.#waiting.get(key)
      if (!outcomes) return
      this.#keys.set(stream.id, key)
      outcomes.take()
      this.#onNew(stream)
      return
    }
    const key = this.#keys.get(stream.id)
    if (key === undefined) return
    const outcomes = this.#waiting.get(key)
    if (isConnected(stream)) {
      this.#keys.delete(stream.id)
      outcomes?.succeed(this.#circuits.get(stream.circuitId ?? ''))
    } else if (stream.status === 'FAILED' || stream.status === 'CLOSED') {
      this.#keys.delete(stream.id)
      outcomes?.fail({ reason: stream.reason, remoteReason: stream.remoteReason, circuitId: stream.circuitId })
    }
  }
}

/** What became of the streams of one key. */
class Outcomes {
  users = 0
  readonly stopped = new AbortController()
  /** Those whose stream Tor has not taken yet, first come, first served: streams of one key look alike. */
  readonly untaken = new Set<() => void>()
  readonly settled = Promise.withResolvers<StreamOutcome>()
  readonly succeeded: Mailbox<Circuit>
  readonly failed: Mailbox<StreamReason>

  constructor(clock: Clock) {
    this.succeeded = new Mailbox(clock)
    this.failed = new Mailbox(clock)
  }

  take(): void {
    const [first] = this.untaken
    if (first === undefined) return
    this.untaken.delete(first)
    first()
  }

  succeed(circuit: Circuit | undefined): void {
    this.settled.resolve({ circuit })
    if (circuit !== undefined) this.succeeded.put(circuit)
  }

  fail(failure: StreamReason): void {
    this.settled.resolve({ failure })
    this.failed.put(failure)
  }
}

/** Values and those who wait for one, first come, first served. */
class Mailbox<T> {
  readonly #clock: Clock
  readonly #values: T[] = []
  readonly #takers: ((value: T) => void)[] = []

  constructor(clock: Clock) {
    this.#clock = clock
  }

  put(value: T): void {
    const taker = this.#takers.shift()
    if (taker === undefined) this.#values.push(value)
    else taker(value)
  }

  async take(waitMs: number): Promise<T | undefined> {
    const value = this.#values.shift()
    if (value !== undefined) return value
    const { promise, resolve } = Promise.withResolvers<T | undefined>()
    using _ = this.#clock.timer(waitMs, () => {
      this.#takers.splice(this.#takers.indexOf(resolve), 1)
      resolve(undefined)
    })
    this.#takers.push(resolve)
    return await promise
  }
}

/**
 * Tor has no SUCCEEDED for a stream of the TransPort. When the exit's CONNECTED arrives, though, it tells the address that the
 * exit connected to.
 */
function isConnected({ status, clientProtocol, source }: Stream): boolean {
  return status === 'SUCCEEDED' || (status === 'REMAP' && clientProtocol === 'TRANS' && source === 'EXIT')
}

function keyOf(stream: StreamKey): string {
  if ('from' in stream) return `from ${stream.from.host} ${stream.from.port}`
  return `user ${stream.user} ${stream.target.host.toLowerCase()} ${stream.target.port}`
}

function keyOfStream({ socksUsername: user, clientProtocol, sourceAddress: from, target }: Stream): string | undefined {
  if (user !== undefined) return keyOf({ user, target })
  return clientProtocol === 'TRANS' && from !== undefined ? keyOf({ from }) : undefined
}

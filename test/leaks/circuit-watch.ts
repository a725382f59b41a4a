/** What a worker's Tor tells of streams and circuits on a control connection of the test's own, beside the service's. */
import { join } from 'node:path'
import { TorControl } from '../../src/tor/control/client.ts'
import type { Circuit } from '../../src/tor/control/events/circuit.ts'
import type { Stream } from '../../src/tor/control/events/stream.ts'
import { torDirectory } from '../../src/tor/tor-directory.ts'

const never = new AbortController().signal

/** One stream that a client of the Tor asked for. */
export interface SeenStream {
  readonly worker: string
  /** The SOCKS user name: the identity. */
  readonly user: string
  /** As asked for. */
  readonly host: string
  readonly port: number
  readonly isoFields: readonly string[]
  readonly nymEpoch: number | undefined
  /** When it was asked for, by `performance.now()`. */
  readonly at: number
  /** The circuits that it was on; legs of one conflux set are one. */
  readonly circuits: Set<string>
}

/** Watches the workers that it is attached to. A worker whose Tor was started again has to be attached again. */
export class CircuitWatch implements AsyncDisposable {
  readonly streams: SeenStream[] = []
  readonly #state: string
  readonly #open = new Map<string, SeenStream>()
  /** By worker and circuit. */
  readonly #confluxIds = new Map<string, string>()
  readonly #controls = new Map<string, TorControl>()
  #turn = 0

  /** `state`: the state directory of the service. */
  constructor(state: string) {
    this.#state = state
  }

  async attach(worker: string): Promise<void> {
    await this.#controls.get(worker)?.[Symbol.asyncDispose]()
    const { controlSocket, controlCookie } = torDirectory(join(this.#state, 'workers', worker))
    const control = await TorControl.open(controlSocket, { method: 'cookie-file', path: controlCookie }, {}, never)
    // Ids begin anew with each Tor.
    const turn = `${worker}#${++this.#turn}`
    control.on('STREAM', (stream) => this.#stream(worker, turn, stream))
    control.on('CIRC', (circuit) => this.#circuit(turn, circuit))
    await control.subscribe(['STREAM', 'CIRC'], never)
    for (const circuit of await control.circuits(never)) this.#circuit(turn, circuit)
    this.#controls.set(worker, control)
  }

  /** Resolves when everything that has happened at the workers until now has been seen. */
  async settle(): Promise<void> {
    await Promise.all(
      [...this.#controls.values()].map((control) => control.getInfo(['version'], never).catch(() => {})),
    )
  }

  /** Streams that were asked for since `mark`, a former length of `streams`. */
  since(mark: number): readonly SeenStream[] {
    return this.streams.slice(mark)
  }

  /** Each circuit with the users that it carried. Of a worker, as ids are its own. */
  usersOfCircuits(): Map<string, Set<string>> {
    const users = new Map<string, Set<string>>()
    for (const { user, circuits } of this.streams) {
      for (const circuit of circuits) {
        const unit = this.#confluxIds.get(circuit) ?? circuit
        users.set(unit, (users.get(unit) ?? new Set()).add(user))
      }
    }
    return users
  }

  /** Circuits that carried more than one identity. There should be none. */
  shared(): readonly (readonly [circuit: string, users: readonly string[]])[] {
    return [...this.usersOfCircuits()].flatMap(([circuit, users]) =>
      users.size > 1 ? [[circuit, [...users]] as const] : [],
    )
  }

  async [Symbol.asyncDispose](): Promise<void> {
    for (const control of this.#controls.values()) await control[Symbol.asyncDispose]()
  }

  #stream(worker: string, turn: string, event: Stream): void {
    const key = `${turn} ${event.id}`
    const { socksUsername: user, target } = event
    if (event.status === 'NEW' && user !== undefined) {
      const { isoFields, nymEpoch } = event
      const { host, port } = target
      const at = performance.now()
      const seen = { worker, user, host, port, isoFields, nymEpoch, at, circuits: new Set<string>() }
      this.#open.set(key, seen)
      this.streams.push(seen)
    }
    const stream = this.#open.get(key)
    // A stream that is detached was refused by the exit, and is on no circuit afterwards; its name was there all the same.
    if (event.circuitId !== undefined) stream?.circuits.add(`${turn} ${event.circuitId}`)
    if (event.status === 'CLOSED' || event.status === 'FAILED') this.#open.delete(key)
  }

  #circuit(turn: string, { id, confluxId }: Circuit): void {
    if (confluxId !== undefined) this.#confluxIds.set(`${turn} ${id}`, `${turn} conflux ${confluxId}`)
  }
}

/** Which circuits were used by whom, as a Tor tells it on a control connection of the test's own. */
import type { TorControl } from '../../src/tor/control/client.ts'
import type { Stream } from '../../src/tor/control/events/stream.ts'

export class StreamLog {
  readonly #users = new Map<string, string>()
  readonly #circuits = new Map<string, Set<string>>()

  static async start(control: TorControl, signal: AbortSignal): Promise<StreamLog> {
    const log = new StreamLog()
    control.on('STREAM', (event) => log.#stream(event))
    await control.subscribe(['STREAM', 'CIRC'], signal)
    return log
  }

  /** `user`: a SOCKS user name, or the source address of one that goes by the TransPort. */
  circuitsOf(user: string): ReadonlySet<string> {
    return this.#circuits.get(user) ?? new Set()
  }

  circuits(): Set<string> {
    return new Set([...this.#circuits.values()].flatMap((circuits) => [...circuits]))
  }

  /** Those who have used circuits and whose name begins so. */
  sources(prefix: string): readonly string[] {
    return [...this.#circuits.keys()].filter((user) => user.startsWith(prefix))
  }

  /** Every circuit that more than one has used, with those who have. */
  shared(): readonly (readonly [circuit: string, users: readonly string[]])[] {
    const users = Map.groupBy(
      [...this.#circuits].flatMap(([user, circuits]) => [...circuits].map((circuit) => ({ user, circuit }))),
      ({ circuit }) => circuit,
    )
    return [...users].flatMap(([circuit, uses]) =>
      uses.length > 1 ? [[circuit, uses.map(({ user }) => user)] as const] : [],
    )
  }

  /** What was until now. */
  forget(): void {
    this.#circuits.clear()
  }

  #stream({ id, status, circuitId, clientProtocol, socksUsername, sourceAddress }: Stream): void {
    const source = clientProtocol === 'TRANS' ? sourceAddress?.host : undefined
    const user = socksUsername ?? source ?? this.#users.get(id)
    if (user === undefined) return
    this.#users.set(id, user)
    // The end of a stream may come when its circuit is of the past already.
    if (circuitId === undefined || ['DETACHED', 'FAILED', 'CLOSED'].includes(status)) return
    const circuits = this.#circuits.get(user) ?? new Set()
    this.#circuits.set(user, circuits.add(circuitId))
  }
}

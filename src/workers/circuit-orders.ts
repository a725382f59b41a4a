import type { Clock } from '../lib/clock.ts'
import type { TorControl } from '../tor/control/client.ts'

/** Tor answers at once or not at all. */
const SILENT_AFTER_MS = 1_000

/** Orders that wait for their answers. Further ones to close are left out: Tor closes old circuits by itself. */
const MAX_CLOSES = 1_000

const never = new AbortController().signal

/** Orders to a Tor about its circuits, whose answers nobody waits for; and whether it answers at all. */
export class CircuitOrders {
  readonly #control: TorControl
  readonly #clock: Clock
  /** The ids of circuits that are being built by our order. */
  readonly #ours = new Set<string>()
  readonly #closing = new Set<string>()
  #builds = 0
  #closes = 0
  /** When Tor was heard last, or was first asked after that. */
  #since = 0

  constructor(control: TorControl, clock: Clock) {
    this.#control = control
    this.#clock = clock
  }

  /** Circuits that are ordered and of which Tor has said nothing yet. */
  get unanswered(): number {
    return this.#builds
  }

  /** How long until Tor, which was asked something, counts as silent; 0 when it does. Undefined when it was asked nothing. */
  get silentInMs(): number | undefined {
    if (this.#builds + this.#closes === 0) return undefined
    return Math.max(0, this.#since + SILENT_AFTER_MS - this.#clock.monotonic())
  }

  /** Tor has said something, be it what it may. */
  heard(): void {
    this.#since = this.#clock.monotonic()
  }

  /** Whether the circuit is being built by our order. */
  isOurs(id: string): boolean {
    return this.#ours.has(id)
  }

  /** It is built. */
  built(id: string): void {
    this.#ours.delete(id)
  }

  /** It is gone. */
  gone(id: string): void {
    this.#ours.delete(id)
    this.#closing.delete(id)
  }

  /**
   * Has Tor build a circuit, whose path it chooses as for its own. `onOrdered` is called with its id before any event that tells of
   * it, or `onRefused` with what is wrong.
   */
  build(onOrdered: (id: string) => void, onRefused: () => void): void {
    this.#asked()
    this.#builds++
    let isOrdered = false
    const onId = (id: string) => {
      isOrdered = true
      this.#builds--
      this.heard()
      this.#ours.add(id)
      onOrdered(id)
    }
    this.#control.extendCircuit({ purpose: 'general' }, never, onId).catch(() => {
      if (isOrdered) return
      this.#builds--
      this.heard()
      onRefused()
    })
  }

  close(id: string): void {
    if (this.#closing.has(id) || this.#closes >= MAX_CLOSES) return
    this.#asked()
    this.#closing.add(id)
    this.#closes++
    this.#control
      .closeCircuit(id, {}, never)
      .catch(() => this.#closing.delete(id))
      .finally(() => {
        this.#closes--
        this.heard()
      })
  }

  #asked(): void {
    if (this.#builds + this.#closes === 0) this.heard()
  }
}

import type { Socket } from 'node:net'
import { setTimeout as sleep } from 'node:timers/promises'
import type { Identity } from '../../src/domain/identity.ts'
import type { Target } from '../../src/domain/worker.ts'
import { type Random, seededRandom } from '../../src/lib/random.ts'
import type {
  ConnectOptions,
  DriverEvent,
  WorkerConnection,
  WorkerInspection,
  WorkerObservation,
} from '../../src/workers/driver.ts'
import { FakeDriver } from '../../src/workers/fake/fake-driver.ts'
import { EXITS, GUARDS, MIDDLES, type Relay } from './simulated-relays.ts'

export interface SimulatedWorkerOptions {
  readonly id: string
  readonly targets: ReadonlyMap<string, (socket: Socket) => void>
  /** How long Tor takes to bootstrap; milliseconds. */
  readonly bootMs: number
  /** How long a connection takes at most; milliseconds. */
  readonly latencyMs: number
}

/** Tor's own words, with what it says of its progress. */
const BOOTSTRAP = [
  [5, 'conn', 'Connecting to a relay'],
  [30, 'loading_status', 'Loading networkstatus consensus'],
  [55, 'loading_descriptors', 'Loading relay descriptors'],
  [80, 'ap_conn', 'Connecting to a relay to build circuits'],
  [95, 'circuit_create', 'Establishing a Tor circuit'],
] as const

/** A worker without Tor that looks like one with it: it takes time to start, and its circuits have relays of many countries. */
export class SimulatedWorker extends FakeDriver {
  readonly #random: Random
  readonly #options: SimulatedWorkerOptions
  readonly #guard: Relay
  readonly #listening = new Set<(event: DriverEvent) => void>()
  #booting: (typeof BOOTSTRAP)[number] | undefined
  #startedAt: number | undefined
  #pid: number

  constructor(options: SimulatedWorkerOptions) {
    super({ id: options.id, targets: options.targets, exits: EXITS })
    this.#options = options
    this.#random = seededRandom(Number.parseInt(options.id.replace(/\D/g, ''), 10))
    this.#guard = this.#one(GUARDS)
    this.#pid = 1_000 + this.#random.int(30_000)
    // What the page shows is to look as it does with Tors of our own.
    Object.defineProperty(this, 'kind', { value: 'local' })
  }

  override observe(): WorkerObservation {
    const observed = super.observe()
    const isUp = observed.process === 'running'
    const known = { torVersion: '0.4.8.16', startedAt: this.#startedAt }
    if (this.#booting === undefined) return { ...observed, ...known, pid: isUp ? this.#pid : undefined }
    const [progress, tag, summary] = this.#booting
    return { ...observed, ...known, process: 'starting', pid: this.#pid, bootstrap: { progress, tag, summary } }
  }

  override async start(signal: AbortSignal): Promise<void> {
    if (super.observe().process === 'running') return
    this.#pid = 1_000 + this.#random.int(30_000)
    this.#startedAt = Date.now()
    try {
      for (const stage of BOOTSTRAP) {
        if (this.#options.bootMs === 0) break
        this.#booting = stage
        this.#say({ type: 'progressed', progress: stage[0] })
        await sleep((this.#options.bootMs / BOOTSTRAP.length) * (0.5 + this.#random.float()), undefined, { signal })
      }
    } finally {
      this.#booting = undefined
    }
    await super.start(signal)
  }

  override async connect(
    target: Target,
    identity: Identity,
    signal: AbortSignal,
    options: ConnectOptions = {},
  ): Promise<WorkerConnection> {
    // Squared: most are quick, as in Tor.
    await sleep(this.#options.latencyMs * this.#random.float() ** 2, undefined, { signal })
    const connection = await super.connect(target, identity, signal, options)
    const middle = this.#one(MIDDLES)
    return {
      ...connection,
      path: async (waitMs) => {
        const exit = await connection.exit(waitMs)
        return [this.#guard, middle, ...(exit ? [exit] : [])]
      },
    }
  }

  override async inspect(signal: AbortSignal): Promise<WorkerInspection> {
    const told = await super.inspect(signal)
    const random = seededRandom(this.#pid)
    const circuits = told.circuits?.map((circuit) => {
      const exits = circuit.path
        .slice(2)
        .map((relay) => EXITS.find((exit) => exit.nickname === relay.nickname) ?? relay)
      const middle = MIDDLES[random.int(MIDDLES.length)] ?? this.#guard
      return {
        ...circuit,
        path: [this.#guard, middle, ...exits],
        createdAt: Date.now() - 1_000 * (5 + random.int(500)),
      }
    })
    const guards = [{ ...this.#guard, status: 'up', since: undefined }]
    const traffic = { readBytes: 40_000_000 + random.int(90_000_000), writtenBytes: 4_000_000 + random.int(9_000_000) }
    return { ...told, circuits, guards, traffic, torVersion: '0.4.8.16' }
  }

  override onEvent(listener: (event: DriverEvent) => void): Disposable {
    const inner = super.onEvent(listener)
    this.#listening.add(listener)
    return {
      [Symbol.dispose]: () => {
        this.#listening.delete(listener)
        inner[Symbol.dispose]()
      },
    }
  }

  #say(event: DriverEvent): void {
    for (const listener of [...this.#listening]) listener(event)
  }

  #one<T>(list: readonly [T, ...T[]]): T {
    return list[this.#random.int(list.length)] ?? list[0]
  }
}

import { ByteMeter, type Counted } from '../lib/byte-meter.ts'
import type { Clock } from '../lib/clock.ts'
import { TimeRing } from './time-ring.ts'

const SECOND_MS = 1_000
/** The second that is not over, and five that are. */
const SPANS = 6

interface Flow {
  read: number
  written: number
}

/** From and to a worker. */
export interface Bytes {
  readonly read: number
  readonly written: number
}

interface Worker {
  readonly flows: TimeRing<Flow>
  /** Since it was first seen. */
  readonly total: Flow
}

/** The bytes that callers' streams carry from and to workers, as they flow. Disposing it ends the reading. */
export class Throughput implements Disposable {
  readonly #clock: Clock
  readonly #meter: ByteMeter<string>
  readonly #workers = new Map<string, Worker>()

  constructor(clock: Clock) {
    this.#clock = clock
    this.#meter = new ByteMeter(clock, (worker, read, written) => this.#count(worker, read, written))
  }

  /** A stream through the worker, until it closes. */
  watch(worker: string, socket: Counted): void {
    this.#meter.watch(worker, socket)
  }

  /** Over the last five seconds. */
  perSecond(worker: string): Bytes {
    const flows = this.#workers.get(worker)?.flows
    if (flows === undefined) return { read: 0, written: 0 }
    const at = this.#clock.monotonic()
    const seconds = flows.coveredMs(at) / SECOND_MS
    return {
      read: flows.sum(at, ({ read }) => read) / seconds,
      written: flows.sum(at, ({ written }) => written) / seconds,
    }
  }

  /** Since the start of the service. */
  total(worker: string): Bytes {
    return this.#workers.get(worker)?.total ?? { read: 0, written: 0 }
  }

  /** The worker is gone. */
  forget(worker: string): void {
    this.#workers.delete(worker)
  }

  [Symbol.dispose](): void {
    this.#meter[Symbol.dispose]()
  }

  #count(id: string, read: number, written: number): void {
    const { flows, total } = this.#worker(id)
    for (const flow of [flows.at(this.#clock.monotonic()), total]) {
      flow.read += read
      flow.written += written
    }
  }

  #worker(id: string): Worker {
    let worker = this.#workers.get(id)
    if (worker === undefined) {
      const flows = new TimeRing<Flow>({
        ...{ spanMs: SECOND_MS, size: SPANS },
        make: () => ({ read: 0, written: 0 }),
        clear(flow) {
          flow.read = 0
          flow.written = 0
        },
      })
      worker = { flows, total: { read: 0, written: 0 } }
      this.#workers.set(id, worker)
    }
    return worker
  }
}

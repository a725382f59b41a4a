import type { RecordedEvent } from '../domain/events.ts'
import type { HealthState } from '../domain/worker.ts'
import type { Clock } from '../lib/clock.ts'

export interface PastState {
  readonly state: HealthState
  /** Epoch milliseconds. */
  readonly since: number
}

const HOUR_MS = 60 * 60 * 1_000
/** A worker that goes in and out of health all the time shows so many. */
const MAX_STATES = 60

/** The states of each worker's health in the last hour. */
export class HealthHistory {
  readonly #clock: Clock
  /** The oldest first; the last one is the state that the worker is in. */
  readonly #byWorker = new Map<string, PastState[]>()
  readonly #startedAt: number

  constructor(clock: Clock) {
    this.#clock = clock
    this.#startedAt = clock.now()
  }

  /** Of whatever happens, what changes health is kept. */
  recorded({ at, event }: RecordedEvent): void {
    if (event.type === 'worker_added') this.begin(event.worker)
    if (event.type === 'worker_removed') this.forget(event.worker)
    if (event.type !== 'health_changed') return
    const states = this.#byWorker.get(event.worker) ?? [{ state: event.from, since: this.#startedAt }]
    this.#byWorker.set(event.worker, current([...states, { state: event.to, since: at }], at))
  }

  /** The oldest first, with `now`'s as the last one: a worker that nothing has happened to has just that. */
  of(worker: string, now: PastState): readonly PastState[] {
    const states = this.#byWorker.get(worker)
    return states === undefined ? [now] : current(states, this.#clock.now())
  }

  /** A worker is there that was not before; it is in the state that it begins with. */
  begin(worker: string): void {
    this.#byWorker.set(worker, [{ state: 'starting', since: this.#clock.now() }])
  }

  /** The worker is gone. */
  forget(worker: string): void {
    this.#byWorker.delete(worker)
  }
}

/** Without the states that had ended an hour before. */
function current(states: readonly PastState[], now: number): PastState[] {
  const first = states.findIndex((_, index) => (states[index + 1]?.since ?? Infinity) > now - HOUR_MS)
  return states.slice(Math.max(first, 0)).slice(-MAX_STATES)
}

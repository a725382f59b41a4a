import type { Clock } from '../lib/clock.ts'
import {
  DEFAULT_GOVERNOR_POLICY,
  doesMachineHang,
  type GovernorEvent,
  type GovernorPolicy,
  type GovernorState,
  govern,
  type HealingRequest,
  type Permit,
  permit,
  recentReboots,
  UNGOVERNED,
} from './governor.ts'

export interface PoolGovernorOptions {
  readonly clock: Clock
  readonly policy?: GovernorPolicy
  /** Told when the state of the pool changes. Must not throw. */
  readonly onEvent?: (event: PoolHealthEvent) => void
}

export type PoolHealthEvent =
  /** `workers`: those that fail. While this holds, failures count against nobody and nobody is restarted or rebooted. */
  | { readonly type: 'uplink-suspected'; readonly workers: readonly string[] }
  /** `worker`: the one that passed a probe. */
  | { readonly type: 'uplink-cleared'; readonly worker: string }

export type WardEvent = GovernorEvent extends infer E ? (E extends unknown ? Omit<E, 'worker'> : never) : never
export type WardRequest = Omit<HealingRequest, 'worker'>

/** What one worker's monitor has of the governor. */
export interface Ward {
  /** Whether failures are thought to have one cause for most of the pool. */
  readonly isUplinkSuspect: boolean
  /** Whether this worker does not answer, and nobody else has since: then it may be our machine. */
  readonly doesMachineHang: boolean
  /** When it was rebooted within the last day, the oldest first, whoever did it. */
  readonly reboots: readonly number[]
  tell(event: WardEvent): void
  /** Has no effect: to be followed by `tell` when it is done. */
  ask(request: WardRequest): Permit
  /** Calls `listener` when what was not permitted may be now. Dispose to stop listening. */
  onRelease(listener: (release: Release) => void): Disposable
}

export type Release = 'uplink-cleared' | 'healing-ended' | 'lease-changed'

/** One for the pool: what the monitors of its workers ask before they restart or reboot anything. */
export class PoolGovernor {
  readonly #clock: Clock
  #policy: GovernorPolicy
  readonly #onEvent: (event: PoolHealthEvent) => void
  readonly #listeners = new Set<(release: Release) => void>()
  #state: GovernorState = UNGOVERNED
  #suspectSince: number | undefined

  constructor({ clock, policy = DEFAULT_GOVERNOR_POLICY, onEvent = () => {} }: PoolGovernorOptions) {
    this.#clock = clock
    this.#policy = policy
    this.#onEvent = onEvent
  }

  /** Since when most of the pool fails together, in wall-clock milliseconds. Undefined when it does not. */
  get uplinkSuspectSince(): number | undefined {
    return this.#suspectSince
  }

  reconfigure(policy: GovernorPolicy): void {
    this.#policy = policy
  }

  /** The worker is none of the pool any more: it is no evidence, and holds up nobody. */
  forget(worker: string): void {
    this.#tell({ type: 'unwatched', worker })
    this.#state = { ...this.#state, workers: this.#state.workers.without(worker) }
  }

  /** A worker of the pool. It counts from its first event on. */
  ward(worker: string): Ward {
    const isUplinkSuspect = () => this.#suspectSince !== undefined
    const doesHang = () => doesMachineHang(this.#state, worker, this.#clock.monotonic(), this.#policy)
    const reboots = () => {
      const ward = this.#state.workers.get(worker)
      return ward === undefined ? [] : recentReboots(ward, this.#clock.monotonic())
    }
    return {
      get reboots() {
        return reboots()
      },
      get isUplinkSuspect() {
        return isUplinkSuspect()
      },
      get doesMachineHang() {
        return doesHang()
      },
      tell: (event) => this.#tell({ ...event, worker }),
      ask: (request) => permit(this.#state, { ...request, worker }, this.#clock.monotonic(), this.#policy),
      onRelease: (listener) => {
        this.#listeners.add(listener)
        return { [Symbol.dispose]: () => void this.#listeners.delete(listener) }
      },
    }
  }

  #tell(event: GovernorEvent): void {
    const before = this.#state
    this.#state = govern(before, event, this.#clock.monotonic(), this.#policy)
    const { uplinkSuspectSince, workers } = this.#state
    if (before.uplinkSuspectSince === undefined && uplinkSuspectSince !== undefined) {
      this.#suspectSince = this.#clock.now()
      const failing = [...workers].flatMap(([id, { evidence }]) => (evidence === 'failing' ? [id] : []))
      this.#onEvent({ type: 'uplink-suspected', workers: failing })
    }
    if (before.uplinkSuspectSince !== undefined && uplinkSuspectSince === undefined) {
      this.#suspectSince = undefined
      this.#onEvent({ type: 'uplink-cleared', worker: event.worker })
      this.#release('uplink-cleared')
    }
    const isReleased = event.type === 'healed-elsewhere' && !event.isHealed
    if (event.type === 'restart-ended' || event.type === 'unwatched' || isReleased) this.#release('healing-ended')
  }

  #release(release: Release): void {
    for (const listener of [...this.#listeners]) listener(release)
  }
}

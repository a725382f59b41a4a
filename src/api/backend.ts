import type { FetchAnswer, FetchRequest, Mode } from '../domain/exchange.ts'
import type { EndpointView, ServiceView, WorkerView } from './views.ts'

/**
 * What the API needs of the service. Every failure is a `CbtorError`; anything else is shown as `internal` and logged as
 * a bug. Ids of workers come from `workers()`: the API has looked them up.
 */
export interface Backend {
  service(): ServiceView
  /** In the order of their numbers. Free to call at any time. */
  workers(): readonly WorkerView[]
  endpoints(): readonly EndpointView[]

  /** Delivers the target's answer, whatever its status. `signal` aborts when the client has gone: stop at once. */
  fetch(request: FetchRequest, signal: AbortSignal): Promise<FetchAnswer>

  mode(): Mode
  /** Resolves once the mode holds and would outlast a restart. */
  setMode(mode: Mode): Promise<void>

  /**
   * Operator's orders to one worker's Tor: resolve once it is up and bootstrapped, or gone. The order stands when
   * `signal` aborts; only the waiting ends, with the signal's reason.
   */
  startTor(id: string, signal: AbortSignal): Promise<void>
  stopTor(id: string, signal: AbortSignal): Promise<void>
  restartTor(id: string, signal: AbortSignal): Promise<void>

  /**
   * Takes a worker out of the pool and resolves at once; its running requests finish. Safe on a drained worker. Rejects
   * with `conflict` when no other worker receives traffic, unless `force`.
   */
  drain(id: string, options: { readonly force: boolean }): Promise<void>
  /** Puts a worker back into the pool whatever its state, and resolves at once. Safe on an enabled worker. */
  enable(id: string): Promise<void>
}

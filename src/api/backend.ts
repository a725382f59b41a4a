import type { RecordedEvent, ServiceProblem } from '../domain/events.ts'
import type { FetchAnswer, FetchRequest, Mode, StreamedAnswer } from '../domain/exchange.ts'
import type { Reloaded } from '../domain/reload.ts'
import type { Jobs } from './jobs.ts'
import type {
  EndpointView,
  InspectionView,
  LiveRequestsView,
  LiveView,
  NewCircuitsOrder,
  ReplicasView,
  ServiceView,
  SessionName,
  SessionView,
  WorkerView,
} from './views.ts'

/** What happened of late, and what happens. Ids go up by one. */
export interface EventHistory {
  readonly newestId: number
  /**
   * The events after the one with this id, oldest first; 0 stands for the start of the service. `isComplete` is false
   * when some of them are no longer kept, or the id is none of this run of the service.
   */
  since(id: number): { readonly entries: readonly RecordedEvent[]; readonly isComplete: boolean }
  /** Calls `listener` with each new event, in order. Dispose to stop listening. */
  onAdded(listener: (event: RecordedEvent) => void): Disposable
}

/**
 * What the API needs of the service. Every failure is a `CbtorError`; anything else is shown as `internal` and logged as
 * a bug. Ids of workers come from `workers()`: the API has looked them up.
 */
export interface Backend {
  service(): ServiceView
  /** In the order of their numbers. Free to call at any time. */
  workers(): readonly WorkerView[]
  endpoints(): readonly EndpointView[]
  /** What is wrong at present, the oldest first. */
  problems(): readonly ServiceProblem[]
  /** The gateways that share the pool. Free to call at any time. */
  replicas(): ReplicasView
  readonly events: EventHistory
  /** All that a page shows, at this moment. Cheap enough to be asked every second. */
  live(): LiveView
  /** The requests to targets that are under way. */
  requestsUnderWay(): LiveRequestsView
  /** The service in numbers, in Prometheus' text format. */
  metrics(): Promise<{ readonly contentType: string; readonly text: string }>

  /** Delivers the target's answer, whatever its status. `signal` aborts when the client has gone: stop at once. */
  fetch(request: FetchRequest, signal: AbortSignal): Promise<FetchAnswer>
  /** The same with the body to come. It goes on until the body is over or destroyed, or `signal` aborts. */
  stream(request: FetchRequest, signal: AbortSignal): Promise<StreamedAnswer>

  readonly jobs: Jobs

  /** Reads the configuration anew and applies what can be applied. Rejects with `config_invalid`, and `conflict` when there is none. */
  reloadConfig(): Promise<Reloaded>

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

  /** Reboots the worker's box, as the orders above. Rejects with `conflict` for a worker that has none. */
  rebootHost(id: string, signal: AbortSignal): Promise<void>

  /**
   * Takes a worker out of the pool and resolves at once; its running requests finish. Safe on a drained worker. Rejects
   * with `conflict` when no other worker receives traffic, unless `force`.
   */
  drain(id: string, options: { readonly force: boolean }): Promise<void>
  /** Puts a worker back into the pool whatever its state, and resolves at once. Safe on an enabled worker. */
  enable(id: string): Promise<void>

  /**
   * Asks the worker's Tor for what only it knows. May take as long as Tor does, but ends soon after `signal` aborts, with
   * what is known by then.
   */
  inspect(id: string, signal: AbortSignal): Promise<InspectionView>
  /**
   * Orders new circuits for all later streams of the worker; its idle connections are dropped, running requests are not.
   * Throws `conflict` when its Tor is stopped and `worker_unreachable` when it is not there.
   */
  newCircuits(id: string): NewCircuitsOrder

  /** Those that have not expired, the latest used first: of one owner or of all, and no more than `limit`. */
  sessions(wanted: { readonly owner?: string; readonly limit: number }): readonly SessionView[]
  session(name: SessionName): SessionView | undefined
  /** Gives the session a new identity: other circuits from the next request on. Rejects with `session_not_found`. */
  rotateSession(name: SessionName): Promise<SessionView>
  /** Forgets the session and drops its connections; running requests finish. Resolves with it as it was. Rejects as above. */
  endSession(name: SessionName): Promise<SessionView>
}

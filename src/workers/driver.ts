import type { Socket } from 'node:net'
import type { Identity } from '../domain/identity.ts'
import type { Exit, Route, Target, WorkerKind } from '../domain/worker.ts'

/** A byte stream to a target through a worker. */
export interface WorkerConnection {
  /** Connected: the worker has said that the far end answers. The caller owns it and destroys it. */
  readonly socket: Socket
  readonly route: Route
  /**
   * The exit of this connection's circuit, asked of the worker's own Tor. Resolves to undefined for an onion service,
   * without a control port, and after `waitMs` at most when Tor does not tell. Never rejects.
   */
  exit(waitMs: number): Promise<Exit | undefined>
}

/** What a worker knows of itself without asking anybody: free to read at any time. */
export interface WorkerObservation {
  /** `running` says that the process is there, not that it works. */
  readonly process: 'stopped' | 'starting' | 'running' | 'exited' | 'unknown'
  readonly pid: number | undefined
  /** 0 to 100, with Tor's own tag and summary. */
  readonly bootstrap: { readonly progress: number; readonly tag: string; readonly summary: string }
  readonly torVersion: string | undefined
  readonly startedAt: number | undefined
  /** Why it is not running, when it should be. */
  readonly problem: string | undefined
}

export type DriverEvent =
  /** The bootstrap moved on. */
  | { readonly type: 'progressed'; readonly progress: number }
  /** Tor went away without having been asked to: a definitive fact, told at once and once for each loss. */
  | { readonly type: 'lost'; readonly reason: string }

/**
 * The code that manages one kind of worker. `test/contracts/driver-contract.ts` checks every sentence that is here.
 */
export interface WorkerDriver extends AsyncDisposable {
  readonly id: string
  readonly kind: WorkerKind

  observe(): WorkerObservation

  /**
   * Brings Tor up and resolves once it is bootstrapped (`progress` 100). Safe to call on a worker that is up: resolves
   * at once and changes nothing. Calls at the same time share one start, which is aborted when all of them are. Rejects
   * with `worker_unreachable` when Tor cannot be started or exits on its way, and with the signal's reason when aborted,
   * leaving no process behind.
   */
  start(signal: AbortSignal): Promise<void>

  /**
   * Ends Tor, gracefully and then by force, and resolves once it is gone; the guards are kept for the next start.
   * Connections through the worker end. Safe on a worker that is down. A start that is going on is aborted.
   */
  stop(signal: AbortSignal): Promise<void>

  /**
   * Opens a stream to `target`. A name is sent to Tor as it is and resolved by the exit. Streams of two identities never
   * share a circuit. Rejects with the `CbtorError` of the fault (`worker_unreachable` when the worker is down, else a
   * row of the Tor and target tables), or with the signal's reason when aborted, leaving no socket behind.
   */
  connect(target: Target, identity: Identity, signal: AbortSignal): Promise<WorkerConnection>

  /** Calls `listener` with each event. Dispose to stop listening. */
  onEvent(listener: (event: DriverEvent) => void): Disposable

  /** Stops Tor and frees everything. */
  [Symbol.asyncDispose](): Promise<void>
}

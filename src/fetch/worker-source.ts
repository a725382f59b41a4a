import type { Socket } from 'node:net'
import type { Selection } from '../domain/exchange.ts'
import type { Identity } from '../domain/identity.ts'
import type { ProblemCode } from '../domain/problems.ts'
import type { Exit, PathRelay, Route, Target, WorkerName } from '../domain/worker.ts'

/** What a fetch needs of the pool. */
export interface WorkerSource {
  /**
   * A hold on a worker that is not in `tried`, nor `busy` with the target. Throws a CbtorError, such as `no_worker`, when there
   * is none to have; when one is only busy, `target_busy`.
   */
  acquire(selection: Selection, tried: ReadonlySet<string>, busy?: Pick<ReadonlySet<string>, 'has' | 'size'>): Lease
  /**
   * Whether the worker, which cannot be had now, is known to be about to come, as those of a service that has just started: whoever
   * wants that one and no other waits for it.
   */
  mayCome?(workerId: string): boolean
  /** As `Lease.forget`, without a lease. */
  forget?(workerId: string, identity: Identity): void
}

/** What a try waits for: the stream and the TLS handshake; the first byte of the answer; more of it. */
export type StallPhase = 'connect' | 'first-byte' | 'body'

/** A hold on a worker while a request runs. Dispose it when done. */
export interface Lease extends Disposable {
  readonly worker: WorkerName
  /**
   * Opens a stream that shares circuits only with streams of the same identity. Rejects with the CbtorError of the
   * fault, or with the signal's reason when aborted, leaving no socket behind. `earlyData` is what is said first: it may leave
   * before the target has answered and be delivered although this rejects, so it must be safe to send twice. With
   * `mustBeConfirmed` the stream is no unconfirmed one.
   */
  connect(
    target: Target,
    identity: Identity,
    signal: AbortSignal,
    options?: { readonly earlyData?: Uint8Array; readonly mustBeConfirmed?: boolean },
  ): Promise<WorkerStream>
  /** Asks an exit for an address of a name. Rejects as `connect` does. */
  resolve(host: string, identity: Identity, signal: AbortSignal): Promise<string>
  /** Nobody will ask for this identity again through this worker: what was kept for it may go. */
  forget(identity: Identity): void
  /** Says, once, how it went: evidence of the worker's health. `client_gone` says nothing about the worker. */
  report(outcome: 'ok' | ProblemCode): void
  /** Says, once, that it is a tunnel that stands: it is held on, but does not count any more for how many the worker takes. */
  stands?(): void
  /**
   * Says that nothing has happened for a while: once for each stall, while the try goes on. A reason to look at the
   * worker and no more, for the target may be the slow one.
   */
  stalled?(phase: StallPhase): void
}

/** A byte stream to a target through a worker. */
export interface WorkerStream {
  /** Connected. Whoever asked for it destroys it. */
  readonly socket: Socket
  readonly route: Route
  /** True when nobody has said that the target answers: an end without a byte may be its fault or Tor's. */
  readonly isUnconfirmed?: true
  /** The exit of the stream's circuit; undefined when there is none or Tor does not tell within `waitMs`. Never rejects. */
  exit(waitMs: number): Promise<Exit | undefined>
  /** The relays of its circuit, guard first; undefined as above. Left out where nobody can tell. Never rejects. */
  path?(waitMs: number): Promise<readonly PathRelay[] | undefined>
}

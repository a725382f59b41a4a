import type { Socket } from 'node:net'
import type { Readable } from 'node:stream'
import type { Caller } from '../domain/caller.ts'
import type { Routing, TunnelRequest } from '../domain/exchange.ts'
import type { ProblemCode } from '../domain/problems.ts'
import type { Exit } from '../domain/worker.ts'

/**
 * What the ports need of the service. Everything that can go wrong is a CbtorError of the domain; when the signal aborts, what
 * is under way ends at once, rejects with the signal's reason, and leaves nothing behind.
 */
export interface ProxyBackend {
  /**
   * Lets the target policy, the pool, sessions and failover do their work, and resolves once the worker has connected.
   * `earlyData`: what the client has sent already, some KiB at most, of which only what may be delivered twice (see
   * `early-data.ts`): a resolved tunnel has sent it once, a rejected one may have.
   */
  openTunnel(
    request: TunnelRequest,
    options: { readonly earlyData?: Uint8Array },
    signal: AbortSignal,
  ): Promise<ProxyTunnel>

  /** Tor's RESOLVE: the address of a name, as an exit sees it; IPv6 without brackets. */
  resolve(request: ResolveRequest, signal: AbortSignal): Promise<string>

  /** One exchange by plain http. Resolves with the head of the answer; both bodies flow at the pace of who reads them. */
  forward(request: ForwardRequest, signal: AbortSignal): Promise<ForwardAnswer>

  /** Whether clients have to show a key as the password. */
  readonly requiresPassword: boolean
  /**
   * Whom the password stands for; undefined when it will not do. `undefined`: the client showed none. Takes the same time whatever
   * is wrong with it. What the caller may do is still to be asked.
   */
  authenticate(password: string | undefined): Caller | undefined
  /** Calls `listener` once the caller's key is revoked or expires. Dispose to stop listening. */
  onGone(caller: Caller, listener: () => void): Disposable

  /** The id of the worker that a client names by id or number; undefined when there is none. */
  workerIdOf(ref: string): string | undefined
}

export interface ResolveRequest extends Routing {
  readonly host: string
}

/** A stream to a target. Disposing it destroys its socket and gives the worker back. */
export interface ProxyTunnel extends Disposable {
  /** Connected, and nobody has read from it. */
  readonly socket: Socket
  /** Its id. */
  readonly worker: string
  /** The exit of the stream's circuit; undefined when there is none or Tor does not tell within `waitMs`. Never rejects. */
  exit(waitMs: number): Promise<Exit | undefined>
  /** Asked when the socket has come to its end: whether the worker was lost, which is known a moment later. Never rejects. */
  lost(): Promise<boolean>
  /** Says, once and before it is disposed, how it went: evidence of the worker's health. */
  ended(outcome: TunnelOutcome): void
}

/**
 * `ok`: the target ended it; `client_gone`: the client left, or was cut off; `timeout`: nothing flowed for too long;
 * `connection_lost`: the worker's side broke.
 */
export type TunnelOutcome = 'ok' | Extract<ProblemCode, 'client_gone' | 'timeout' | 'connection_lost'>

export interface ForwardRequest extends Routing {
  /** As the client wrote it, http only; the target policy has not seen it. */
  readonly url: string
  readonly method: string
  /**
   * End-to-end headers in the client's order and case: none that is of a connection or tells of a client, and no Host, which
   * the URL says. Content-Length is among them if the client gave one; without it a body is of unknown length.
   */
  readonly headers: readonly (readonly [name: string, value: string])[]
  /** Errs when the client leaves in its middle. May be destroyed. */
  readonly body: Readable | undefined
}

export interface ForwardAnswer {
  readonly status: number
  readonly statusText: string
  /** As received, Content-Encoding included, for `body` is still encoded. The port drops what is of the connection. */
  readonly headers: readonly (readonly [name: string, value: string])[]
  /** Errs when the connection is lost before the answer's end. The port reads or destroys it. */
  readonly body: Readable
  readonly worker: string
  /** Says, once, how it went when the client has its answer, or has gone. `received`: bytes that the client was given. */
  ended(ending: { readonly outcome: 'ok' | ProblemCode; readonly received: number }): void
}

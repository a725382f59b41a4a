import type { Readable } from 'node:stream'
import type { Caller } from './caller.ts'
import type { CbtorError } from './errors.ts'
import type { ExitRule, IdentityKind, Isolation } from './identity.ts'
import type { ProblemCode } from './problems.ts'
import type { Door, TraceParent } from './request-watch.ts'
import type { Exit, PathRelay, Route } from './worker.ts'

/** How the pool chooses a worker; as the original names them. */
export const MODES = ['round_robin', 'sticky', 'random', 'least_connections', 'failover'] as const
export type Mode = (typeof MODES)[number]

/** What a request says about the worker it wants. */
export interface Selection {
  /** Overrides the pool's mode. */
  readonly mode?: Mode
  /** What `sticky` hashes: the caller's sticky key, or the host when there is none. */
  readonly key: string
  /** Only this worker will do. */
  readonly workerId?: string
}

/** What becomes of a session whose worker is lost. */
export const ON_LOSS = ['migrate', 'fail'] as const
export type OnLoss = (typeof ON_LOSS)[number]

/** As whom a request goes, and through which worker: the same in the API and in a proxy's user name. */
export interface Routing {
  /** Who asks; left out for what the service itself asks for, such as its checks. */
  readonly caller?: Caller
  readonly isolation: Isolation
  readonly stickyKey?: string
  readonly mode?: Mode
  readonly workerId?: string
  /** What becomes of a session whose worker is lost: it moves to another one (the default), or the request fails. */
  readonly onLoss?: OnLoss
  /** How long the session of the sticky key may go unused before it ends, instead of as long as configured. */
  readonly sessionTtlMs?: number
  /** Which exits may be used; any when left out. */
  readonly exitRule?: ExitRule
  /** The door it came by, for those who are told of requests. */
  readonly via?: Door
  /** Likewise. */
  readonly traceParent?: TraceParent
  /** Told of each worker that it is tried on. */
  readonly onTry?: (worker: string) => void
}

/** A tunnel as the client of a proxy port asks for it; the target policy has not seen it yet. */
export interface TunnelRequest extends Routing {
  /** A name, an IPv4 address, or an IPv6 address without brackets, as the client wrote it. */
  readonly host: string
  readonly port: number
}

/** One anonymous HTTP exchange as the caller asks for it, its syntax checked but not yet the target policy. */
export interface FetchRequest extends Routing {
  readonly url: string
  readonly method: string
  readonly headers: readonly (readonly [name: string, value: string])[]
  /** Names of neutral headers that are not to be sent. */
  readonly withoutHeaders?: readonly string[]
  readonly body?: Uint8Array
  /** The whole budget: queue, connect, redirects, failover and body. */
  readonly timeoutMs: number
  /** Counted after decompression; where a body is passed on as it is, what is passed on. May be infinite there. */
  readonly maxBytes: number
  /** Cut a body that has more than `maxBytes`, and say so, instead of failing. */
  readonly allowTruncated?: boolean
  /** Tell the whole path of the circuit. */
  readonly circuitPath?: boolean
  readonly followRedirects: boolean
  readonly maxRedirects: number
  /** Follow a redirect from https to http. */
  readonly allowDowngrade: boolean
  /** Follow a redirect from an onion service to the clearnet. */
  readonly allowOnionToClearnet: boolean
  /** Ask a second worker, too, when the first takes long. For GET and HEAD without a sticky key only. */
  readonly hedge?: boolean
}

/** One try on one worker. */
export interface Attempt {
  readonly worker: string
  /** `hedge_lost`: it was given up because the other worker that was asked at the same time has answered. */
  readonly outcome: 'ok' | 'hedge_lost' | ProblemCode
  readonly ms: number
}

export interface Redirect {
  readonly status: number
  readonly from: string
  readonly to: string
}

/** Milliseconds, of the exchange that gave the final answer unless said otherwise. */
export interface Timing {
  /** From the start to the first lease: choosing a worker. */
  readonly queueMs: number
  /** Making the stream through Tor; 0 on a kept-alive connection. */
  readonly connectMs: number
  /** The TLS handshake with the target; 0 on http and on a kept-alive connection. */
  readonly tlsMs: number
  /** From the request's last byte, or from when the stream stood if it went ahead of that, to the answer's first. */
  readonly firstByteMs: number
  readonly bodyMs: number
  /** From start to end, all attempts and redirects included. */
  readonly totalMs: number
}

/** Of everything that was done for one request: all its tries and redirects. */
export interface WireBytes {
  /** From the workers, TLS and headers included. */
  readonly received: number
  /** To the workers, likewise. */
  readonly sent: number
}

/** What the caller is told of how an answer came about. */
export interface Receipt {
  /** What its circuits were shared by. */
  readonly identity: IdentityKind
  readonly worker: string
  readonly route: Route
  /** Undefined for an onion service, which has no exit, and where Tor did not tell in time. */
  readonly exit: Exit | undefined
  /** Guard first, as far as this end knows it: to the exit, or to the rendezvous point. Undefined unless asked for and told in time. */
  readonly circuitPath?: readonly PathRelay[] | undefined
  /** Whether an earlier request's connection was used. */
  readonly connectionReused: boolean
  /** Whether the session of the sticky key came to another worker or exit, unasked, with this answer. Undefined means false. */
  readonly sessionMoved?: boolean
  /** Whether a second worker was asked, too. Undefined means false. */
  readonly hedged?: boolean
  readonly attempts: readonly Attempt[]
  readonly redirects: readonly Redirect[]
  readonly timing: Timing
  /** `decoded`: of the body, as it was handed out. */
  readonly bytes: WireBytes & { readonly decoded: number }
  /** Whether the body goes on beyond `maxBytes`. */
  readonly truncated: boolean
}

/** As much of a receipt as there is of a request that failed after a worker was chosen. */
export interface FailureReceipt extends Pick<Receipt, 'identity'> {
  /** The last one that was tried. */
  readonly worker: string | undefined
  /** Of the connection by which that one asked, if it came so far. */
  readonly route: Route | undefined
  readonly exit: Exit | undefined
  readonly timing: Pick<Timing, 'queueMs' | 'totalMs'> & Partial<Timing>
  readonly bytes: WireBytes
}

/** The head of a target's answer. */
export interface AnswerHead {
  /** Where it came from, after redirects. */
  readonly url: string
  readonly status: number
  readonly statusText: string
  /** As received, names in lower case, hop-by-hop headers left out; after decompression without Content-Encoding. */
  readonly headers: readonly (readonly [name: string, value: string])[]
}

export interface FetchAnswer extends AnswerHead, Receipt {
  readonly body: Uint8Array
}

/** An answer whose body is still to come. Its receipt is as of the first byte. */
export interface StreamedAnswer extends AnswerHead, Receipt {
  /** As received, still coded. Errs when it is not whole. It must be read or destroyed, which ends all that goes on for it. */
  readonly body: Readable
  /** How many bytes of it there will be, where that is known: 0 where there are none. */
  readonly bodyLength: number | undefined
  /** Resolves when nothing more comes. Never rejects. */
  readonly ended: Promise<StreamEnd>
}

export interface StreamEnd {
  readonly receipt: Receipt
  /** Why the body is not whole; undefined when it is, or was truncated as asked. */
  readonly failure: CbtorError | undefined
}

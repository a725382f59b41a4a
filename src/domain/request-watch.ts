import type { Attempt, Mode, Timing } from './exchange.ts'
import type { ProblemCode } from './problems.ts'

export type RequestKind = 'fetch' | 'forward' | 'tunnel' | 'resolve'

/** The door that a request to a target came by: a route of the API, a job, a port of the proxy, the tools for models. */
export const DOORS = ['fetch', 'raw', 'job', 'http', 'socks', 'mcp'] as const
export type Door = (typeof DOORS)[number]

/** Where a request belongs in the trace of whoever asks (https://www.w3.org/TR/trace-context/): for us alone, never for a target. */
export interface TraceParent {
  /** 32 lower-case hexadecimal digits, */
  readonly traceId: string
  /** and 16. */
  readonly spanId: string
  readonly isSampled: boolean
}

/** A request to a target that begins. */
export interface BegunRequest {
  readonly kind: RequestKind
  /** Undefined for what the service itself asks for. */
  readonly door: Door | undefined
  /** What the request wishes; undefined: the pool's. */
  readonly mode: Mode | undefined
  /** The id of the caller's key. */
  readonly key: string | undefined
  readonly isOnion: boolean
  /** Undefined of what is no URL, as the port. For those alone who may know targets: neither for logs nor for figures. */
  readonly host: string | undefined
  readonly port: number | undefined
  readonly parent: TraceParent | undefined
}

/** A request to a target that is under way. */
export interface RequestUnderWay {
  /** Counts up, in this run of the service. */
  readonly id: number
  readonly kind: RequestKind
  readonly isOnion: boolean
  readonly port: number | undefined
  /** The id of the caller's key. */
  readonly key: string | undefined
  /** The worker that it is tried on; undefined while it waits for one. */
  readonly worker: string | undefined
  /** Epoch milliseconds. */
  readonly startedAt: number
  /** For those alone who may know targets. Undefined of what is no URL. */
  readonly host: string | undefined
}

/** A target has answered: the answer is whole, or its body comes, or the tunnel stands. */
export interface AnsweredRequest {
  readonly worker: string
  readonly attempts: readonly Attempt[]
  /** As far as it is known; a body may still come. */
  readonly timing?: Partial<Timing>
}

export interface EndedRequest {
  readonly outcome: 'ok' | ProblemCode
  /** The last one that it was tried on. */
  readonly worker: string | undefined
  readonly attempts: readonly Attempt[]
  /** The target's. */
  readonly status: number | undefined
  /** From the begin, by the monotonic clock. */
  readonly ms: number
}

/** Told of one request as it goes on. Must not throw. */
export interface RequestProgress {
  /** A worker is tried. */
  triedOn?(worker: string): void
  /** Once, if at all. `ms`: since the begin. */
  answered?(answer: AnsweredRequest, ms: number): void
  /** Once: nothing more comes. */
  ended(end: EndedRequest): void
}

/** Who is told of every request to a target. */
export interface RequestWatch {
  begun(request: BegunRequest): RequestProgress
}

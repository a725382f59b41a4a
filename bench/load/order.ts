/** What the load generator is asked to do, and what it tells of it: one JSON object a line, in and out. */

/** How a request gets to its site. Connections go to the ports in turn. */
export type Way =
  /** To a SOCKS5 port. `user`: the name to isolate by; with `fresh`, another one for each connection. */
  | { readonly kind: 'socks'; readonly ports: readonly number[]; readonly user?: string; readonly fresh?: true }
  /** CONNECT to an HTTP proxy, and the request through the tunnel. */
  | { readonly kind: 'connect'; readonly ports: readonly number[]; readonly user?: string; readonly fresh?: true }
  /** The absolute URL to an HTTP proxy. */
  | { readonly kind: 'absolute'; readonly ports: readonly number[]; readonly user?: string; readonly fresh?: true }
  /** `POST /api/v1/fetch`, or `/fetch/raw`, over kept connections. `fields`: more of its body. */
  | {
      readonly kind: 'fetch'
      readonly port: number
      readonly path: '/api/v1/fetch' | '/api/v1/fetch/raw'
      readonly fields?: Readonly<Record<string, unknown>>
    }

export interface LoadOrder {
  readonly way: Way
  /** Of plain http. */
  readonly url: string
  /** How many at a time, each after the one before. Ignored with `perSecond`. */
  readonly concurrency: number
  /** Begins no request after so long, or after so many. */
  readonly seconds?: number
  readonly count?: number
  /** One connection for all requests of a place, rather than one for each. A fetch always keeps its own. */
  readonly isKept?: boolean
  /** Begins so many a second, however long answers take. */
  readonly perSecond?: number
  /** Of a request: later it has failed. */
  readonly limitMs: number
  /** Ends what is under way at the end, and counts what it has got: for long bodies. */
  readonly isCutOff?: boolean
}

export interface LoadResult {
  readonly ok: number
  /** What went wrong, and how often. */
  readonly failed: Readonly<Record<string, number>>
  /** From the first beginning to the last end. */
  readonly seconds: number
  /** Of bodies. */
  readonly bytes: number
  /** Each good request: when it began, to its first byte, and to its end; milliseconds. */
  readonly startedMs: readonly number[]
  readonly firstByteMs: readonly number[]
  readonly totalMs: readonly number[]
  /** When each one that failed began. */
  readonly failedMs: readonly number[]
}

export interface IdleOrder {
  readonly tunnels: number
  readonly port: number
  /** Where they lead, `HOST:PORT`. */
  readonly to: string
}

export type Order =
  | { readonly id: number; readonly load: LoadOrder }
  /** Opens tunnels by CONNECT that carry nothing; `close` ends them. */
  | { readonly id: number; readonly open: IdleOrder }
  | { readonly id: number; readonly close: true }
  /** Resolves when something listens. */
  | { readonly id: number; readonly wait: { readonly port: number; readonly limitMs: number } }

export type Reply =
  | { readonly id: number; readonly result: LoadResult | { readonly open: number } | null }
  | { readonly id: number; readonly error: string }

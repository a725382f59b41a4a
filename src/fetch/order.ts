import type { CbtorError } from '../domain/errors.ts'

/** Who keeps order among all the requests: `src/limits`. What is left out is not kept: no target is spared, nobody waits. */
export interface Order {
  readonly politeness?: Politeness | undefined
  readonly lines?: Lines
}

/** How much a target gets. */
export interface Politeness {
  /** How long it takes in the long run until a worker may be asked for the same host again. */
  readonly everyMs: number
  /** The workers that may not be asked for this host now, and in how many milliseconds they may; undefined: when a place is free. */
  busy(host: string, isPaced: boolean): ReadonlyMap<string, number | undefined>
  /** A request goes to the host through the worker, whether there is room or not. */
  enter(host: string, worker: string, isPaced: boolean): Place
  /** How long the key has to leave the host alone; 0 when it has not. */
  heldBackMs(key: string, host: string): number
  /** The host answered a request of the key. `retryAfter`: the header's value. */
  answered(key: string, host: string, status: number, retryAfter: string | undefined): void
}

/** One request's place at a host; to be disposed when it has ended. */
export interface Place extends Disposable {
  /** It is a tunnel that stands. */
  stands(): void
  /** A redirect leads to another host. */
  goesTo(host: string): void
}

/** Where requests wait. */
export interface Lines {
  /** What the request takes, at once if it can. Throws or rejects with the refusal, and with the signal's reason. */
  enter<T>(request: LineRequest<T>): T | Promise<T>
}

export interface LineRequest<T> {
  readonly key: string
  readonly withinMs: number
  readonly signal: AbortSignal
  /** It overtakes nobody in these. They may be others at each look. */
  lines(): readonly string[]
  attempt():
    | { readonly taken: T }
    | {
        readonly line: string
        readonly refusal: CbtorError
        /** When it is worth another try, and how long one takes in that line, where that is known. */
        readonly inMs?: number | undefined
        readonly everyMs?: number | undefined
      }
}

/** The lines, by what is waited for: room on any worker, on this one, at a host, at a host by this worker. */
export const LINES = {
  pool: 'pool',
  worker: (worker: string) => `worker ${worker}`,
  host: (site: string) => `host ${site}`,
  hostBy: (site: string, worker: string) => `host ${site} by ${worker}`,
}

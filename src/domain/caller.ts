/** What a key may be used for. `admin` may everything, making keys included. */
export const SCOPES = ['fetch', 'proxy', 'sessions', 'workers:read', 'workers:write', 'admin'] as const
export type Scope = (typeof SCOPES)[number]

/** How much one key may use; what is left out is as configured for keys that say nothing. */
export interface KeyLimits {
  /** Requests per second in the long run, */
  readonly rate?: number
  /** and as many at once. */
  readonly burst?: number
  /** Requests and opening tunnels at the same time. */
  readonly concurrent?: number
  /** Bytes to and from targets, from one midnight UTC to the next. */
  readonly bytesPerDay?: number
}

/**
 * Which targets a key may reach, among those that the target policy lets through: networks (`203.0.113.0/24`), hosts with
 * all names below them (`example.com`), ports (`:443`). What is denied is denied, whatever else allows it; where something
 * is allowed, nothing else is.
 */
export interface TargetRules {
  readonly allow?: readonly string[]
  readonly deny?: readonly string[]
}

/** Who asks: what a key stands for. No two callers ever share circuits, connections or sessions. */
export interface Caller {
  /** The id of the key, by which logs and metrics know it. */
  readonly id: string
  readonly scopes: ReadonlySet<Scope>
  readonly limits: KeyLimits
  readonly targets: TargetRules
}

/** Whoever asks where no key is asked for: on loopback, with `auth: off`. */
export const ANYBODY: Caller = { id: 'anybody', scopes: new Set(SCOPES), limits: {}, targets: {} }

export function mayUse(caller: Caller, scope: Scope): boolean {
  return caller.scopes.has(scope) || caller.scopes.has('admin')
}

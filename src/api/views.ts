import type { CircuitsRenewed, ServiceProblem } from '../domain/events.ts'
import type { RequestUnderWay } from '../domain/request-watch.ts'
import type { DesiredState, Exit, HealthState, WorkerKind } from '../domain/worker.ts'

/** A worker as its operator sees it. The service fills it in; `schemas/worker.ts` writes it as JSON. Instants are epoch ms. */
export interface WorkerView {
  readonly id: string
  /** 1 to N, in the order of the configuration. */
  readonly n: number
  readonly kind: WorkerKind
  /** What the operator asked for. */
  readonly desired: DesiredState
  /** What is observed. */
  readonly state: HealthState
  /** When it came into that state. */
  readonly since: number
  readonly consecutiveFailures: number
  /** Follows from `desired` and `state`: whether the pool hands it out. */
  readonly receivesTraffic: boolean
  readonly process: {
    readonly state: 'stopped' | 'starting' | 'running' | 'exited' | 'unknown'
    readonly pid: number | undefined
    readonly startedAt: number | undefined
  }
  /** Tor's own words, 0 to 100. */
  readonly bootstrap: { readonly progress: number; readonly tag: string; readonly summary: string }
  readonly torVersion: string | undefined
  /** Requests that hold the worker now. */
  readonly leases: number
  /** Why it does not do what is desired, in words. */
  readonly problem: string | undefined
  readonly lastCheck: CheckView | undefined
  /** Undefined when there was none since the start of the service. */
  readonly lastRecovery: RecoveryView | undefined
  /** What will be done about it by itself; undefined when nothing will, or when it is being done just now. */
  readonly nextAction: NextActionView | undefined
  /** Attempts of requests since the start of the service, and how many of them failed by the worker's fault. */
  readonly requests: number
  readonly failures: number
}

export interface NextActionView {
  /** `probe`, `recover`, `reboot`, ... */
  readonly type: string
  readonly at: number
  readonly reason?: string | undefined
}

export interface RecoveryView {
  /** When it ended. */
  readonly at: number
  readonly ok: boolean
  readonly steps: readonly {
    readonly name: string
    readonly ok: boolean
    readonly ms: number
    readonly skipped?: true | undefined
    readonly error?: string | undefined
  }[]
}

/** What a worker's Tor tells of itself when asked. Undefined is what it did not tell, or not in time. */
export interface InspectionView {
  readonly circuits: readonly CircuitView[] | undefined
  readonly guards: readonly GuardView[] | undefined
  /** Bytes since Tor's start. */
  readonly traffic: { readonly readBytes: number; readonly writtenBytes: number } | undefined
  readonly consensus: { readonly validAfter: number; readonly validUntil: number } | undefined
  /** Positive when Tor's clock is ahead; undefined also when Tor noticed nothing. */
  readonly clockSkew: { readonly seconds: number } | undefined
  /** Of a worker on a box: the way to it, and what it says of itself. */
  readonly host?: HostView | undefined
}

/** Undefined is what nobody could tell in time. */
export interface HostView {
  /** `connected`, or why there is no connection. */
  readonly ssh: string
  readonly tunnel: { readonly handshakeAgeMs: number | undefined; readonly problems: readonly string[] } | undefined
  readonly node: { readonly state: string; readonly reason: string | undefined; readonly ageMs: number } | undefined
}

/** Words are Tor's own. */
export interface CircuitView {
  readonly id: string
  readonly status: string
  readonly purpose: string | undefined
  /** Guard first, exit last. */
  readonly path: readonly {
    readonly nickname: string | undefined
    readonly fingerprint: string
    readonly address?: string
    readonly country?: string
  }[]
  readonly createdAt: number | undefined
}

export interface GuardView {
  readonly nickname: string | undefined
  readonly fingerprint: string
  readonly status: string
}

/** An order for new circuits, given. */
export interface NewCircuitsOrder {
  /** When Tor will act: it does so at once, but not twice in 10 s. */
  readonly actsAt: number
  /** Resolves once Tor has acted. Rejects with a `CbtorError`. */
  readonly acted: Promise<CircuitsRenewed>
}

/** A sticky key that is in use. */
/** Sessions belong to callers: what two of them call by the same sticky key is two sessions. */
export interface SessionName {
  /** The caller's id. */
  readonly owner: string
  readonly key: string
}

export interface SessionView extends SessionName {
  /** Undefined until one is chosen. */
  readonly worker: string | undefined
  /** The exit of its latest request; undefined when it is not known. */
  readonly exit: Exit | undefined
  readonly createdAt: number
  readonly lastUsedAt: number
  readonly requests: number
  /** When it ends if nobody uses it until then. */
  readonly expiresAt: number
  /** How often it came to another worker or exit, unasked. */
  readonly moved: number
}

export interface CheckView {
  readonly at: number
  readonly ok: boolean
  /** Undefined when nothing came back. */
  readonly latencyMs: number | undefined
  readonly error: string | undefined
}

/** What is known of a check endpoint, of all workers together or of one. Percentiles are of successful checks. */
export interface CheckStatistics {
  readonly attempts: number
  readonly successes: number
  readonly failures: number
  readonly lastError: string | undefined
  readonly lastSuccessAt: number | undefined
  readonly p50Ms: number | undefined
  readonly p95Ms: number | undefined
}

/** The checks of 30 seconds that began `at`. */
export interface CheckPointView {
  readonly at: number
  readonly checks: number
  readonly failures: number
  readonly meanMs: number | undefined
}

/** The gateways that share a pool, as one of them sees it. */
export interface ReplicasView {
  readonly store: {
    /** `embedded`: this gateway is alone. */
    readonly kind: 'embedded' | 'shared'
    readonly isUp: boolean
    /** Epoch ms; undefined while it is up. */
    readonly downSince: number | undefined
    /** Changes that the store does not have yet. */
    readonly pending: number
  }
  /** Those that live, by name, this one among them. */
  readonly replicas: readonly ReplicaView[]
}

export interface ReplicaView {
  readonly name: string
  readonly version: string
  /** Epoch ms. */
  readonly startedAt: number
  /** The one that answers. */
  readonly isSelf: boolean
  /** Of the workers that several gateways reach: those that it probes and heals, as far as is known here; alone, all of them. */
  readonly heals: number
}

export interface EndpointView extends CheckStatistics {
  /** Short and for people: `check.torproject.org`. */
  readonly name: string
  readonly url: string
  readonly kind: 'clearnet' | 'onion'
  readonly workers: readonly (CheckStatistics & { readonly worker: string })[]
  /** Of the last half hour, the oldest first. */
  readonly series: readonly CheckPointView[]
}

export interface ServiceView {
  readonly version: string
  readonly startedAt: number
}

/** The requests of ten seconds. */
export interface SeriesPointView {
  /** When they began. */
  readonly at: number
  readonly requests: number
  readonly failures: number
  readonly p50Ms: number | undefined
  readonly p95Ms: number | undefined
}

export interface LiveWorkerView {
  readonly worker: WorkerView
  /** The oldest first. */
  readonly history: readonly { readonly state: HealthState; readonly since: number }[]
  readonly requestsPerS: number
  readonly readBytesPerS: number
  readonly writtenBytesPerS: number
}

/** All that a page shows, at one moment. */
export interface LiveView {
  readonly at: number
  readonly service: ServiceView
  readonly pool: {
    readonly requestsPerS: number
    readonly successRatio: number | undefined
    readonly p50Ms: number | undefined
    readonly p95Ms: number | undefined
    readonly leases: number
    readonly waiting: number
    readonly tunnels: number
    readonly readBytesPerS: number
    readonly writtenBytesPerS: number
  }
  /** The oldest first; the newest one still grows. */
  readonly series: readonly SeriesPointView[]
  readonly problems: readonly ServiceProblem[]
  readonly workers: readonly LiveWorkerView[]
  readonly requests: LiveRequestsView
}

/** Those under way: the oldest first and no more than are shown, and how many there are. */
export interface LiveRequestsView {
  readonly requests: readonly RequestUnderWay[]
  readonly total: number
}

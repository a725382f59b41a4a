import type { DesiredState, HealthState, WorkerKind } from '../domain/worker.ts'

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
  /** Attempts of requests since the start of the service, and how many of them failed by the worker's fault. */
  readonly requests: number
  readonly failures: number
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

export interface EndpointView extends CheckStatistics {
  /** Short and for people: `check.torproject.org`. */
  readonly name: string
  readonly url: string
  readonly kind: 'clearnet' | 'onion'
  readonly workers: readonly (CheckStatistics & { readonly worker: string })[]
}

export interface ServiceView {
  readonly version: string
  readonly startedAt: number
}

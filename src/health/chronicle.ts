import type { HealthState } from '../domain/worker.ts'
import type { MonitorEvent } from './monitored.ts'
import type { StepResult } from './recovery.ts'

export interface Failure {
  readonly at: number
  readonly reason: string
}

export interface LastRecovery {
  readonly at: number
  readonly attempt: number
  readonly ok: boolean
  readonly ms: number
  readonly steps: readonly StepResult[]
}

/** What is to be remembered of a worker's past. Instants are wall-clock milliseconds. */
export class Chronicle {
  /** Since when it is in its present state. */
  since: number
  /** Since when it is healthy, if it was out of the pool before by a failure: it is to get its traffic back slowly. */
  healthySince: number | undefined
  lastFailure: Failure | undefined
  lastRecovery: LastRecovery | undefined

  constructor(now: number) {
    this.since = now
  }

  record(event: MonitorEvent, at: number): void {
    switch (event.type) {
      case 'health-changed':
        this.since = at
        this.healthySince = event.to === 'healthy' && isOut(event.from) ? at : undefined
        if (isFall(event.from, event.to)) this.lastFailure = { at, reason: event.reason }
        return
      case 'probe-ended':
        if (event.verdict === 'failed') this.lastFailure = { at, reason: event.reason }
        return
      case 'pulse-failed':
        this.lastFailure = { at, reason: event.reason }
        return
      case 'recovery-ended': {
        const { attempt, ms, result } = event
        this.lastRecovery = { at, attempt, ms, ok: result.ok, steps: result.steps }
      }
    }
  }
}

function isOut(state: HealthState): boolean {
  return state === 'dead' || state === 'recovery'
}

/** One that is held down comes to `suspect` from below. */
function isFall(from: HealthState, to: HealthState): boolean {
  return to === 'dead' || (to === 'suspect' && from === 'healthy')
}

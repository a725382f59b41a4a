import { abortable, deadline } from '../lib/abort.ts'
import type { Clock } from '../lib/clock.ts'

/** One step of the way back, as "restart Tor"; they are in `ladder/`, one a file. */
export interface RecoveryStep {
  readonly name: string
  readonly timeLimitMs: number
  /** It only looks: that it failed is news for the steps that follow and not the end of the climb. */
  readonly isDiagnosis?: boolean
  /** Fails by rejecting; what is in order already passes at once. Resolves to `SKIPPED` when there was nothing to do. */
  run(signal: AbortSignal): Promise<unknown>
}

export const SKIPPED = 'skipped'

export interface StepResult {
  readonly name: string
  readonly ok: boolean
  readonly ms: number
  readonly skipped?: true
  /** Why it failed. */
  readonly error?: string
}

export interface RecoveryResult {
  /** Whether every step passed, those aside that only look. */
  readonly ok: boolean
  /** Those that were run: all, or up to the one that failed. */
  readonly steps: readonly StepResult[]
}

/** One attempt to bring a worker back, as the worker is told of it. */
export interface RecoveryAttempt {
  /** Counts from 1, anew after each death and each reboot. */
  readonly number: number
  /** The step at which the attempt before this one failed, if there was one since the worker died. */
  readonly failedAt?: string | undefined
  /** It was given up because it hung, so what answers just now proves little. */
  readonly isHung: boolean
  /** For a worker that several gateways reach: the token of our lease. An order with a lower one than was seen is to be refused. */
  readonly fence?: number | undefined
  /** Runs the steps in order, and tells of each; see the function of the same name. */
  climb(ladder: readonly RecoveryStep[], signal: AbortSignal): Promise<RecoveryResult>
}

/**
 * Climbs the ladder: runs the steps in order and stops at the first that fails, each within its own time limit. A step
 * that ignores its signal is left behind when its time is up. Rejects only with the signal's reason when aborted, and with what
 * `mayGoOn` throws, which is asked before each step.
 */
export async function climb(
  ladder: readonly RecoveryStep[],
  clock: Clock,
  signal: AbortSignal,
  stepEnded: (step: StepResult) => void = () => {},
  mayGoOn: () => void = () => {},
): Promise<RecoveryResult> {
  const steps: StepResult[] = []
  for (const step of ladder) {
    mayGoOn()
    const result = await runStep(step, clock, signal)
    steps.push(result)
    stepEnded(result)
    if (!result.ok && !step.isDiagnosis) return { ok: false, steps }
  }
  return { ok: true, steps }
}

async function runStep(step: RecoveryStep, clock: Clock, signal: AbortSignal): Promise<StepResult> {
  const { name, timeLimitMs } = step
  signal.throwIfAborted()
  using limit = deadline(clock, timeLimitMs, signal, () => new Error(`not done within ${timeLimitMs} ms`))
  const startedAt = clock.monotonic()
  try {
    const outcome = await abortable(step.run(limit.signal), limit.signal)
    const ms = clock.monotonic() - startedAt
    return outcome === SKIPPED ? { name, ok: true, ms, skipped: true } : { name, ok: true, ms }
  } catch (error) {
    signal.throwIfAborted()
    const reason = error instanceof Error ? error.message : String(error)
    return { name, ok: false, ms: clock.monotonic() - startedAt, error: reason }
  }
}

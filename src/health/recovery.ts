import { abortable, deadline } from '../lib/abort.ts'
import type { Clock } from '../lib/clock.ts'

/** One step of the way back, as "restart Tor". It fails by rejecting; what is in order already passes at once. */
export interface RecoveryStep {
  readonly name: string
  readonly timeLimitMs: number
  run(signal: AbortSignal): Promise<void>
}

export interface StepResult {
  readonly name: string
  readonly ok: boolean
  readonly ms: number
  /** Why it failed. */
  readonly error?: string
}

export interface RecoveryResult {
  /** Whether every step passed. */
  readonly ok: boolean
  /** Those that were run: all, or up to the one that failed. */
  readonly steps: readonly StepResult[]
}

/**
 * Climbs the ladder: runs the steps in order and stops at the first that fails, each within its own time limit. A step
 * that ignores its signal is left behind when its time is up. Rejects only with the signal's reason when aborted.
 */
export async function climb(
  ladder: readonly RecoveryStep[],
  clock: Clock,
  signal: AbortSignal,
): Promise<RecoveryResult> {
  const steps: StepResult[] = []
  for (const step of ladder) {
    const result = await runStep(step, clock, signal)
    steps.push(result)
    if (!result.ok) return { ok: false, steps }
  }
  return { ok: true, steps }
}

async function runStep(step: RecoveryStep, clock: Clock, signal: AbortSignal): Promise<StepResult> {
  const { name, timeLimitMs } = step
  signal.throwIfAborted()
  using limit = deadline(clock, timeLimitMs, signal, () => new Error(`not done within ${timeLimitMs} ms`))
  const startedAt = clock.monotonic()
  try {
    await abortable(step.run(limit.signal), limit.signal)
    return { name, ok: true, ms: clock.monotonic() - startedAt }
  } catch (error) {
    signal.throwIfAborted()
    const reason = error instanceof Error ? error.message : String(error)
    return { name, ok: false, ms: clock.monotonic() - startedAt, error: reason }
  }
}

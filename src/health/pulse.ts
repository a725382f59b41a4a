import { abortable, deadline } from '../lib/abort.ts'
import type { Clock } from '../lib/clock.ts'
import type { HealthPolicy } from './policy.ts'

export interface PulseOptions {
  readonly clock: Clock
  readonly policy: Pick<HealthPolicy, 'pulseEveryMs' | 'pulseTimeoutMs' | 'pulseLatenessMs'>
  /** Rejects when the worker does not answer. */
  pulse(signal: AbortSignal): Promise<void>
  /** Whether it ought to answer just now. */
  isExpected(): boolean
  onPass?(): void
  /** `inARow`: how many have failed, with this one. */
  onFailure(reason: string, inARow: number): void
}

/**
 * Feels the worker's pulse until `signal` aborts, and then resolves. After a failed pulse the next follows as soon as
 * its time is up. One that took much longer than its limit says nothing: it was our own process or machine that did not run.
 */
export async function watchPulse(options: PulseOptions, signal: AbortSignal): Promise<void> {
  const { clock, policy, isExpected, onPass, onFailure } = options
  let inARow = 0
  while (!signal.aborted) {
    const startedAt = clock.monotonic()
    const isFelt = isExpected()
    const failure = isFelt ? await feel(options, signal) : undefined
    if (signal.aborted) return
    if (isFelt && failure === undefined) onPass?.()
    const isLate = clock.monotonic() - startedAt > policy.pulseTimeoutMs + policy.pulseLatenessMs
    if (failure !== undefined && isLate) continue

    inARow = failure !== undefined && isExpected() ? inARow + 1 : 0
    if (failure !== undefined && inARow > 0) onFailure(failure, inARow)
    const nextAt = startedAt + (inARow > 0 ? policy.pulseTimeoutMs : policy.pulseEveryMs)
    await clock.sleep(nextAt - clock.monotonic(), signal).catch(() => 'aborted')
  }
}

/** Why there was no answer; undefined when there was one. */
async function feel({ clock, policy, pulse }: PulseOptions, signal: AbortSignal): Promise<string | undefined> {
  const { pulseTimeoutMs } = policy
  using limit = deadline(clock, pulseTimeoutMs, signal, () => new Error(`no answer within ${pulseTimeoutMs} ms`))
  try {
    await abortable(pulse(limit.signal), limit.signal)
    return undefined
  } catch (error) {
    return error instanceof Error ? error.message : String(error)
  }
}

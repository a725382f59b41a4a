import { StoreUnavailable } from '../../cluster/store-link.ts'
import type { Clock } from '../../lib/clock.ts'

const AGAIN_MS = 250
const AGAIN_AFTER_BUG_MS = 5_000

/**
 * Asks the store until it answers: what came must not be lost because it is away for a while. `ask` may be repeated although it
 * happened. Undefined once `signal` has aborted and a last try has failed.
 */
export async function insist<T>(
  ask: () => Promise<T>,
  { clock, signal, onBug }: { readonly clock: Clock; readonly signal: AbortSignal; onBug(error: unknown): void },
): Promise<T | undefined> {
  for (;;) {
    const isLast = signal.aborted
    let waitMs = AGAIN_MS
    try {
      return await ask()
    } catch (error) {
      if (!(error instanceof StoreUnavailable)) {
        onBug(error)
        waitMs = AGAIN_AFTER_BUG_MS
      }
    }
    if (isLast) return undefined
    await clock.sleep(waitMs, signal).catch(() => {})
  }
}

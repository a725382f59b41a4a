import { abortable, deadline, onAbort } from '../lib/abort.ts'
import type { Clock } from '../lib/clock.ts'

/** The one thing that is being done about a worker, and the means to drop it. */
export class CurrentTask {
  readonly #clock: Clock
  #controller = new AbortController()

  constructor(clock: Clock) {
    this.#clock = clock
  }

  /** Ends what is being done, of which no result is wanted any more. */
  drop(): void {
    this.#controller.abort()
  }

  /** Does `work`, for so long at most. Undefined when it was dropped or `end` aborted; never rejects. */
  async run<T>(
    limitMs: number,
    work: (signal: AbortSignal) => Promise<T>,
    end: AbortSignal,
  ): Promise<{ value: T } | { error: string } | undefined> {
    const controller = new AbortController()
    this.#controller = controller
    using _ = onAbort(end, (reason) => controller.abort(reason))
    const { signal } = controller
    using limit = deadline(this.#clock, limitMs, signal, () => new Error(`no answer within ${Math.round(limitMs)} ms`))
    try {
      const value = await abortable(work(limit.signal), limit.signal)
      return signal.aborted ? undefined : { value }
    } catch (error) {
      if (signal.aborted) return undefined
      return { error: error instanceof Error ? error.message : String(error) }
    }
  }
}

import type { Clock } from '../../lib/clock.ts'
import type { Logger } from '../../lib/log.ts'
import type { WorkerLink } from '../socks-link.ts'

/** Tor's default for MaxCircuitDirtiness, which our torrc pins. */
const DIRTINESS_MS = 600_000
const MARGIN_MS = 60_000
/** So long after its last stream, Tor may have a circuit that new streams from the same address would share. */
export const HOLD_MS = DIRTINESS_MS + MARGIN_MS

/**
 * Whether we know of every circuit of a Tor which source addresses of ours are on. Not of one that ran before us: whoever had an
 * address in an earlier run must share no circuit with whoever gets it in this one.
 */
export class CircuitCount implements Disposable {
  readonly #clock: Clock
  readonly #logger: Logger
  #isComplete = false
  #ageing: Disposable | undefined

  constructor(clock: Clock, logger: Logger) {
    this.#clock = clock
    this.#logger = logger
  }

  get isComplete(): boolean {
    return this.#isComplete
  }

  /** The Tor is a new one. */
  begin(): void {
    this.#isComplete = true
  }

  /**
   * Has a Tor that ran before give up what circuits it has. Where that cannot be ordered, the count is complete when those are too
   * old to be used. Rejects with the signal's reason.
   */
  async beginAnew(link: WorkerLink, signal: AbortSignal): Promise<void> {
    if (this.#isComplete) return
    try {
      await link.newCircuits(signal)
      this.#isComplete = true
    } catch (error) {
      signal.throwIfAborted()
      const reason = error instanceof Error ? error.message : String(error)
      this.#logger.info({ reason }, 'Clearnet goes by SOCKS until the circuits of earlier runs are gone')
      this.#ageing?.[Symbol.dispose]()
      this.#ageing = this.#clock.timer(HOLD_MS, () => this.begin())
    }
  }

  [Symbol.dispose](): void {
    this.#ageing?.[Symbol.dispose]()
  }
}

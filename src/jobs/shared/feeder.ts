import type { Clock } from '../../lib/clock.ts'
import type { JobLedger } from './job-ledger.ts'
import type { UnitQueue } from './unit-queue.ts'

export interface FeederOptions {
  readonly clock: Clock
  readonly ledger: Pick<JobLedger, 'toGive' | 'given' | 'recheck' | 'hooks'>
  readonly turns: Pick<UnitQueue, 'add'>
  readonly webhooks: Pick<UnitQueue, 'add'>
  /** Mostly of a store that is away: it is tried again. */
  onError(error: unknown): void
}

const LOOK_MS = 5_000
/** Who put it there had so much time to give it himself. */
const PATIENCE_MS = 5_000
const AT_ONCE = 500
/** Looks in so many of which all units are given once more, though BullMQ should have them. */
const RECHECK_LOOKS = 12
const RECHECKED_JOBS = 200

/**
 * Gives BullMQ its units. The ledger and BullMQ do not write in one transaction, so the ledger keeps a list of what BullMQ does not
 * have for sure, and whichever replica lives works it off; giving one twice does nothing.
 */
export class Feeder implements Disposable {
  readonly #options: FeederOptions
  #timer: Disposable | undefined
  #looks = 0
  #from = 0
  #isGiving = false
  #isAsked = false

  constructor(options: FeederOptions) {
    this.#options = options
  }

  start(): void {
    const { clock, onError } = this.#options
    this.#timer = clock.timer(LOOK_MS, () => {
      this.start()
      this.#look().catch(onError)
    })
  }

  /** Gives what was just written down. */
  async give(): Promise<void> {
    this.#isAsked = true
    if (this.#isGiving) return
    this.#isGiving = true
    try {
      while (this.#isAsked) {
        this.#isAsked = false
        await this.#give(0)
      }
    } finally {
      this.#isGiving = false
    }
  }

  /** The jobs have ended. */
  async tell(...ids: readonly string[]): Promise<void> {
    await this.#options.webhooks.add(ids.map((id) => ({ id, owner: 'webhook', tag: 1 })))
  }

  [Symbol.dispose](): void {
    this.#timer?.[Symbol.dispose]()
  }

  async #look(): Promise<void> {
    const { clock, ledger } = this.#options
    if (++this.#looks % RECHECK_LOOKS === 0) {
      const count = await ledger.recheck(this.#from, RECHECKED_JOBS)
      this.#from = count < RECHECKED_JOBS ? 0 : this.#from + RECHECKED_JOBS
    }
    await this.#give(PATIENCE_MS)
    await this.tell(...(await ledger.hooks(clock.now() - PATIENCE_MS, AT_ONCE)))
  }

  async #give(ageMs: number): Promise<void> {
    const { ledger, turns } = this.#options
    for (;;) {
      const units = await ledger.toGive(ageMs, AT_ONCE)
      await turns.add(units)
      await ledger.given(units.map(({ id }) => id))
      if (units.length < AT_ONCE) return
    }
  }
}

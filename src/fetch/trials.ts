import { CbtorError } from '../domain/errors.ts'
import type { Trial } from './trial.ts'

/** All tries that go on, of all fetches, and what is to become of those on a worker that is in trouble. */
export class Trials {
  readonly #going = new Set<Trial>()
  /** Workers whose stalled tries are to leave, and why: until something moves on them again. */
  readonly #distrusted = new Map<string, string>()

  add(trial: Trial): void {
    this.#going.add(trial)
  }

  remove(trial: Trial): void {
    this.#going.delete(trial)
  }

  progressed({ workerId }: Trial): void {
    this.#distrusted.delete(workerId)
  }

  stalled(trial: Trial): void {
    const reason = this.#distrusted.get(trial.workerId)
    if (reason !== undefined) trial.leave(unreachable(trial.workerId, reason))
  }

  /** As `Fetcher.abandonStalled`. */
  abandonStalled(workerId: string, reason: string): void {
    this.#distrusted.set(workerId, reason)
    for (const trial of this.#on(workerId)) if (trial.isStalled) trial.leave(unreachable(workerId, reason))
  }

  /** As `Fetcher.abandonWorker`. */
  abandonWorker(workerId: string, reason: string): void {
    this.#distrusted.delete(workerId)
    for (const trial of this.#on(workerId)) trial.abandon(unreachable(workerId, reason))
  }

  /** As `Fetcher.trustAgain`. */
  trustAgain(workerId: string): void {
    this.#distrusted.delete(workerId)
  }

  /** Why the worker is not trusted, if it is not: nothing has moved there since. */
  doubtOf(workerId: string): string | undefined {
    return this.#distrusted.get(workerId)
  }

  #on(workerId: string): readonly Trial[] {
    return [...this.#going].filter((trial) => trial.workerId === workerId)
  }
}

function unreachable(workerId: string, reason: string): CbtorError {
  return new CbtorError('worker_unreachable', `Cannot go on through worker "${workerId}": ${reason}`)
}

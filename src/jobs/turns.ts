/** Whose turn it is: each caller's, then the next one's; and so each job of a caller. */
export class Turns<J extends { readonly id: string; readonly owner: string }> {
  /** By owner, by id; whose turn it was last is last. */
  readonly #jobs = new Map<string, Map<string, J>>()
  readonly #heldUntil = new Map<string, number>()
  #allHeldUntil = 0

  add(job: J): void {
    const ofOwner = this.#jobs.get(job.owner) ?? new Map<string, J>()
    this.#jobs.set(job.owner, ofOwner.set(job.id, job))
  }

  remove({ id, owner }: J): void {
    const ofOwner = this.#jobs.get(owner)
    ofOwner?.delete(id)
    if (ofOwner?.size !== 0) return
    this.#jobs.delete(owner)
    this.#heldUntil.delete(owner)
  }

  find(id: string): J | undefined {
    for (const jobs of this.#jobs.values()) if (jobs.has(id)) return jobs.get(id)
    return undefined
  }

  *all(): Generator<J> {
    for (const jobs of this.#jobs.values()) yield* jobs.values()
  }

  /** The first job that may begin something and is not held; it is last from then on, and so is its owner. */
  next(now: number, mayBegin: (job: J) => boolean): J | undefined {
    for (const [owner, jobs] of this.#jobs) {
      if (this.heldUntil(owner) > now) continue
      for (const [id, job] of jobs) {
        if (!mayBegin(job)) continue
        jobs.delete(id)
        jobs.set(id, job)
        this.#jobs.delete(owner)
        this.#jobs.set(owner, jobs)
        return job
      }
    }
    return undefined
  }

  /** Nothing of the owner begins before `until`. */
  hold(owner: string, until: number): void {
    this.#heldUntil.set(owner, until)
  }

  /** Nothing of anybody does. */
  holdAll(until: number): void {
    this.#allHeldUntil = until
  }

  /** In the past when nothing is held. */
  heldUntil(owner: string): number {
    return Math.max(this.#allHeldUntil, this.#heldUntil.get(owner) ?? 0)
  }
}

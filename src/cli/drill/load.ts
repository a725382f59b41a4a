import { type ApiClient, ApiProblem } from '../../client/client.ts'
import type { Clock } from '../../lib/clock.ts'

/** One request of the load. Instants are wall-clock milliseconds, as those of the service's events. */
export interface LoadRequest {
  readonly startedAt: number
  readonly ms: number
  /** `ok`, or the code of the problem. */
  readonly outcome: string
  readonly attempts: number
}

/** GET requests at a steady pace, whatever becomes of the ones before, as callers who know nothing of each other send them. */
export class Load implements AsyncDisposable {
  readonly requests: LoadRequest[] = []
  readonly #api: ApiClient
  readonly #url: string
  readonly #clock: Clock
  readonly #everyMs: number
  readonly #end = new AbortController()
  readonly #running = new Set<Promise<void>>()
  readonly #pace: Promise<void>

  /** `perSecond`: 0 for no load at all. */
  constructor(api: ApiClient, url: string, perSecond: number, clock: Clock) {
    this.#api = api
    this.#url = url
    this.#clock = clock
    this.#everyMs = 1_000 / perSecond
    this.#pace = perSecond > 0 ? this.#run() : Promise.resolve()
  }

  /** Sends no more and resolves when every answer has come. */
  async [Symbol.asyncDispose](): Promise<void> {
    this.#end.abort()
    await this.#pace
    await Promise.all(this.#running)
  }

  async #run(): Promise<void> {
    const { signal } = this.#end
    const startedAt = this.#clock.monotonic()
    for (let sent = 0; !signal.aborted; sent++) {
      const one = this.#request().finally(() => this.#running.delete(one))
      this.#running.add(one)
      const nextAt = startedAt + (sent + 1) * this.#everyMs
      await this.#clock.sleep(nextAt - this.#clock.monotonic(), signal).catch(() => {})
    }
  }

  async #request(): Promise<void> {
    const [startedAt, from] = [this.#clock.now(), this.#clock.monotonic()]
    let outcome = 'ok'
    let attempts = 0
    try {
      const answer = await this.#api.fetch({ url: this.#url })
      attempts = answer.receipt.attempts.length
      if (answer.status !== 200) outcome = `status ${answer.status}`
    } catch (error) {
      outcome = error instanceof ApiProblem ? error.problem.code : String(error)
      attempts = error instanceof ApiProblem ? (error.problem.attempts?.length ?? 0) : 0
    }
    this.requests.push({ startedAt, ms: this.#clock.monotonic() - from, outcome, attempts })
  }
}

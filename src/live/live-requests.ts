import { PROBLEMS, type ProblemCode } from '../domain/problems.ts'
import type { BegunRequest, RequestProgress, RequestUnderWay, RequestWatch } from '../domain/request-watch.ts'
import type { Clock } from '../lib/clock.ts'
import { RecentRequests } from './recent-requests.ts'

type Held = { -readonly [K in keyof RequestUnderWay]: RequestUnderWay[K] } & { isStanding: boolean }

/** The requests to targets that are under way, each from its begin to its end, and figures of those that were of late. */
export class LiveRequests implements RequestWatch {
  readonly recent: RecentRequests
  readonly #clock: Clock
  /** In the order in which they began. */
  readonly #held = new Map<number, Held>()
  #begun = 0
  #standing = 0

  constructor(clock: Clock) {
    this.#clock = clock
    this.recent = new RecentRequests(clock)
  }

  /** All that are under way. */
  get total(): number {
    return this.#held.size
  }

  /** Tunnels that stand. */
  get tunnels(): number {
    return this.#standing
  }

  /** The oldest first, and no more than `limit`. */
  list(limit: number): readonly RequestUnderWay[] {
    const oldest: RequestUnderWay[] = []
    for (const { isStanding: _, ...request } of this.#held.values()) {
      if (oldest.length === limit) break
      oldest.push(request)
    }
    return oldest
  }

  begun({ kind, isOnion, host, port, key }: BegunRequest): RequestProgress {
    const id = ++this.#begun
    const startedAt = this.#clock.now()
    const held: Held = { ...{ id, kind, isOnion, port, key, startedAt, host }, worker: undefined, isStanding: false }
    this.#held.set(id, held)
    let isCounted = false
    return {
      triedOn(worker) {
        held.worker = worker
      },
      answered: ({ worker }, ms) => {
        held.worker = worker
        isCounted = true
        this.recent.count(worker, true, ms)
        if (kind === 'tunnel') {
          held.isStanding = true
          this.#standing++
        }
      },
      ended: ({ worker = held.worker, outcome, ms }) => {
        if (!this.#held.delete(id)) return
        if (held.isStanding) this.#standing--
        // What breaks off later is no second request, and what was wrong with a request says nothing of the pool.
        if (!isCounted && !isTheCallers(outcome)) this.recent.count(worker, outcome === 'ok', ms)
      },
    }
  }
}

function isTheCallers(outcome: 'ok' | ProblemCode): boolean {
  return outcome !== 'ok' && (PROBLEMS[outcome].fault === 'caller' || PROBLEMS[outcome].fault === 'policy')
}

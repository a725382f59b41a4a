import { CbtorError } from '../domain/errors.ts'
import type { OnLoss, Selection } from '../domain/exchange.ts'
import type { Session } from './session.ts'
import type { Lease, WorkerSource } from './worker-source.ts'

/**
 * Workers for one request of a session: the session's own as long as it can take it, else the one that the key's hash
 * chooses of the others, or none when the session is not to move.
 */
export class SessionSource implements WorkerSource {
  readonly #source: WorkerSource
  readonly #session: Session
  readonly #onLoss: OnLoss
  readonly #mayCome: (worker: string) => boolean
  readonly #lost = new Set<string>()

  /** `mayCome`: as of the source that all this comes from. */
  constructor(source: WorkerSource, session: Session, onLoss: OnLoss, mayCome = (_worker: string) => false) {
    this.#source = source
    this.#mayCome = mayCome
    this.#session = session
    this.#onLoss = onLoss
  }

  /** Workers that could not take the request, though the session was or would have been on them. */
  get lost(): ReadonlySet<string> {
    return this.#lost
  }

  /**
   * A worker that is named is the one to stay on; when there is none, that is the session's own. Throws also
   * `session_worker_lost`, and `overloaded`: a worker that is busy, or about to come, is no reason to change the exit.
   */
  acquire({ key, workerId }: Selection, tried: ReadonlySet<string>): Lease {
    const own = workerId ?? this.#session.worker
    if (own !== undefined && !tried.has(own)) {
      try {
        return this.#source.acquire({ key, workerId: own }, tried)
      } catch (error) {
        if (!isLoss(error)) throw error
        if (this.#mayCome(own)) throw aboutToCome(error)
        if (this.#mustStay) throw workerLost(error)
      }
    } else if (own !== undefined && this.#mustStay) {
      throw workerLost()
    }

    for (const worker of tried) this.#lost.add(worker)
    if (own !== undefined) this.#lost.add(own)
    const lease = this.#source.acquire({ key, mode: 'sticky' }, this.#lost)
    this.#session.place(lease.worker.id)
    return lease
  }

  get #mustStay(): boolean {
    return this.#onLoss === 'fail' && this.#session.isSettled
  }
}

/** Down, drained, stopped, or not configured any more. */
function isLoss(error: unknown): boolean {
  const codes = ['no_worker', 'conflict', 'worker_not_found']
  return error instanceof CbtorError && codes.includes(error.code)
}

/** A line in which it waits is looked at when a worker comes. */
function aboutToCome(cause: unknown): CbtorError {
  const message = 'Cannot go on with the session: its worker is starting'
  return new CbtorError('overloaded', message, { cause, retryAfterMs: 1_000 })
}

function workerLost(cause?: unknown): CbtorError {
  const why = 'its worker cannot take it, and on_loss is fail'
  return new CbtorError('session_worker_lost', `Cannot go on with the session: ${why}`, { cause })
}

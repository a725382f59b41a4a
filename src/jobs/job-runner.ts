import type { Caller } from '../domain/caller.ts'
import { CbtorError } from '../domain/errors.ts'
import type { FetchAnswer, FetchRequest } from '../domain/exchange.ts'
import { isIdempotent } from '../domain/method.ts'
import type { Clock } from '../lib/clock.ts'
import type { Random } from '../lib/random.ts'
import { deadlineError, droppedError, interruption, ourError, outcomeOf } from './fetch-errors.ts'
import type { DueFetch, JobStore, StoredJob } from './job-store.ts'
import { keptProblem } from './kept.ts'
import { nextStep } from './next-step.ts'
import { Turns } from './turns.ts'

/** How many fetches go on at the same time. */
export interface JobPace {
  /** Of all jobs, */
  readonly concurrency: number
  /** and of one. */
  readonly concurrencyPerJob: number
}

export interface JobRunnerOptions extends JobPace {
  readonly clock: Clock
  readonly random: Random
  readonly store: JobStore
  /** Whom the job's owner stands for; undefined while nobody knows, and then the job rests. */
  callerOf(owner: string): Caller | undefined
  /** As a caller's own fetch, so that limits, politeness and target rules hold. */
  fetch(request: FetchRequest, signal: AbortSignal): Promise<FetchAnswer>
  /** Every fetch of the job has ended. */
  onEnded(id: string): void
  /** Something was written down that takes room. */
  onKept(): void
  /** A fetch failed in a way it should not. */
  onBug(error: unknown): void
}

interface Running {
  readonly controller: AbortController
  readonly isIdempotent: boolean
  readonly over: Promise<void>
}

/** A job that goes on. */
interface Active {
  readonly id: string
  readonly owner: string
  readonly job: StoredJob
  readonly running: Map<number, Running>
  /** When the first of those that wait is due; infinite when none waits. */
  nextAt: number
}

/** How long a request that must not be sent twice may go on when the service ends. */
const GRACE_MS = 5_000
/** So often at least, whatever its caller says of retries. */
const LEAST_INTERRUPTIONS = 3
const MAX_NAP_MS = 3_600_000
const UNKNOWN_CALLER_MS = 60_000
const STORE_TRIED_AGAIN_MS = 10_000

/** Carries jobs out, a fetch at a time for whoever's turn it is. */
export class JobRunner {
  readonly #options: JobRunnerOptions
  readonly #turns = new Turns<Active>()
  #pace: JobPace
  #runningCount = 0
  #nap: Disposable | undefined
  #isStarted = false
  #isStopping = false
  readonly #life = new AbortController()

  constructor(options: JobRunnerOptions) {
    this.#options = options
    this.#pace = options
  }

  /** What runs goes on, also where it is more than may begin from now on. */
  reconfigure(pace: JobPace): void {
    this.#pace = pace
    this.#pump()
  }

  /** Goes on with what the last process left. */
  start(): void {
    const { store, clock } = this.#options
    for (const { id, n, method, failuresInHttp } of store.interrupted()) {
      // It counts as a failure, or else a fetch that ends the process each time would do so for ever.
      const limit = Math.max(LEAST_INTERRUPTIONS, store.job(id)?.retry.phases.http.maxRetries ?? 0)
      const problem = keptProblem(interruption(method))
      if (isIdempotent(method) && failuresInHttp < limit) store.putOff(id, n, clock.now(), { phase: 'http', problem })
      else store.end(id, n, clock.now(), { state: 'failed', problem })
    }
    this.#isStarted = true
    for (const job of store.running()) this.#admit(job)
    this.#pump()
  }

  /** A job that was written down. */
  add(job: StoredJob): void {
    if (!this.#isStarted) return
    this.#admit(job)
    this.#pump()
  }

  /** Ends its running fetches at once and begins no more. What becomes of it in the store is the caller's to write down. */
  drop(id: string): void {
    const entry = this.#turns.find(id)
    if (entry === undefined) return
    this.#turns.remove(entry)
    for (const { controller } of entry.running.values()) controller.abort(droppedError())
    this.#pump()
  }

  /** How many fetches run now. */
  get runningCount(): number {
    return this.#runningCount
  }

  /** Begins no more, and ends what runs: at once where it can be done again, a little later where it cannot. */
  async stop(): Promise<void> {
    this.#isStopping = true
    this.#life.abort()
    this.#nap?.[Symbol.dispose]()
    const running = [...this.#turns.all()].flatMap((entry) => [...entry.running.values()])
    const abort = (which: readonly Running[]) => {
      for (const { controller } of which)
        controller.abort(new CbtorError('shutting_down', 'Cannot go on with the fetch'))
    }
    abort(running.filter((each) => each.isIdempotent))
    using _ = this.#options.clock.timer(GRACE_MS, () => abort(running))
    await Promise.all(running.map(({ over }) => over))
  }

  #admit(job: StoredJob): void {
    const { id, owner } = job
    const entry: Active = { id, owner, job, running: new Map(), nextAt: 0 }
    this.#turns.add(entry)
    this.#look(entry)
  }

  /** Begins what may begin now, and sleeps until something may. Goes on later when the store cannot be written just now. */
  #pump(): void {
    if (this.#isStopping || !this.#isStarted) return
    try {
      this.#beginDue()
    } catch (error) {
      this.#options.onBug(error)
      this.#nap?.[Symbol.dispose]()
      this.#nap = this.#options.clock.timer(STORE_TRIED_AGAIN_MS, () => this.#pump())
    }
  }

  #beginDue(): void {
    const now = this.#options.clock.now()
    for (const entry of [...this.#turns.all()]) if (entry.job.deadlineAt <= now) this.#expire(entry, now)
    for (let entry = this.#next(now); entry !== undefined; entry = this.#next(now)) this.#begin(entry, now)
    this.#sleep(now)
  }

  #next(now: number): Active | undefined {
    if (this.#runningCount >= this.#pace.concurrency) return undefined
    return this.#turns.next(now, (entry) => entry.nextAt <= now && this.#hasRoom(entry))
  }

  #begin(entry: Active, now: number): void {
    const { store, callerOf } = this.#options
    const { id, owner } = entry
    const caller = callerOf(owner)
    if (caller === undefined) {
      this.#turns.hold(owner, now + UNKNOWN_CALLER_MS)
      return
    }
    const due = store.due(id, now)
    if (due === undefined) {
      this.#look(entry)
      return
    }
    const mayRepeat = isIdempotent(due.request.method)
    // Before it may be sent: what is not known to have been begun would be sent again.
    store.begin(id, due.n, { isDurable: !mayRepeat })
    const controller = new AbortController()
    this.#runningCount++
    const over = this.#run(entry, due, { ...due.request, caller }, controller.signal).catch(this.#options.onBug)
    entry.running.set(due.n, { controller, isIdempotent: mayRepeat, over })
    this.#look(entry)
  }

  async #run(entry: Active, due: DueFetch, request: FetchRequest, signal: AbortSignal): Promise<void> {
    const { fetch } = this.#options
    let answer: FetchAnswer | undefined
    let failure: unknown
    try {
      answer = await fetch(request, signal)
    } catch (error) {
      failure = error
    } finally {
      this.#runningCount--
      entry.running.delete(due.n)
    }
    // One that was dropped has been written down; one that the end of the service cut off goes on at its next start.
    const isCut = answer === undefined && (signal.aborted || this.#isStopping)
    if (!isCut) await this.#settleInTheEnd(entry, due, answer ?? ourError(failure, this.#options.onBug))
    else if (this.#isStopping && isIdempotent(request.method) && this.#turns.find(entry.id) === entry)
      this.#options.store.putOff(entry.id, due.n, this.#options.clock.now())
    this.#pump()
  }

  /** What came must not be lost because a disk is full for a while. */
  async #settleInTheEnd(entry: Active, due: DueFetch, result: FetchAnswer | CbtorError): Promise<void> {
    while (this.#turns.find(entry.id) === entry) {
      try {
        this.#settle(entry, due, result)
        return
      } catch (error) {
        this.#options.onBug(error)
        await this.#options.clock.sleep(STORE_TRIED_AGAIN_MS, this.#life.signal).catch(() => {})
        if (this.#isStopping) return
      }
    }
  }

  #settle(entry: Active, due: DueFetch, result: FetchAnswer | CbtorError): void {
    const { clock, random, store, onKept } = this.#options
    const { job } = entry
    const now = clock.now()
    const { method, workerId, stickyKey } = due.request
    const isTied = workerId !== undefined || stickyKey !== undefined
    const history = { method, isTied, failures: due.failures, deadlineAt: job.deadlineAt }
    const outcome = outcomeOf(result, now)
    const step = nextStep(history, outcome, now, job.retry, random.float())
    const problem = result instanceof CbtorError ? keptProblem(result) : undefined
    switch (step.type) {
      case 'end':
        store.end(
          job.id,
          due.n,
          now,
          result instanceof CbtorError
            ? { state: 'failed', problem: keptProblem(result) }
            : { state: 'done', answer: result },
        )
        onKept()
        break
      case 'retry':
        store.putOff(job.id, due.n, step.at, { phase: step.phase, ...(problem && { problem }) })
        break
      case 'wait':
        store.putOff(job.id, due.n, step.at)
        if (step.holds === 'caller') this.#turns.hold(job.owner, step.at)
        if (step.holds === 'all') this.#turns.holdAll(step.at)
        break
    }
    this.#look(entry)
  }

  /** Nobody waits for it any longer. */
  #expire(entry: Active, now: number): void {
    const { store, onKept } = this.#options
    store.failWaiting(entry.job.id, now, keptProblem(deadlineError()))
    onKept()
    this.#look(entry)
  }

  /** Learns when the job goes on, and whether it does. */
  #look(entry: Active): void {
    const { store, clock, onEnded } = this.#options
    const { id } = entry
    const { nextAt, isOver } = store.outlook(id)
    entry.nextAt = nextAt ?? Number.POSITIVE_INFINITY
    if (!isOver) return
    // In this order: what cannot be written down now is looked at again.
    store.endJob(id, 'done', clock.now())
    this.#turns.remove(entry)
    onEnded(id)
  }

  #sleep(now: number): void {
    this.#nap?.[Symbol.dispose]()
    this.#nap = undefined
    const isFull = this.#runningCount >= this.#pace.concurrency
    let wakeAt = Number.POSITIVE_INFINITY
    for (const entry of this.#turns.all()) {
      const { job, owner, nextAt } = entry
      // Whoever ends makes room, and looks then.
      const mayBegin = !isFull && this.#hasRoom(entry)
      if (mayBegin) wakeAt = Math.min(wakeAt, Math.max(nextAt, this.#turns.heldUntil(owner)))
      if (nextAt < Number.POSITIVE_INFINITY) wakeAt = Math.min(wakeAt, job.deadlineAt)
    }
    if (wakeAt === Number.POSITIVE_INFINITY) return
    this.#nap = this.#options.clock.timer(Math.min(MAX_NAP_MS, Math.max(0, wakeAt - now)), () => this.#pump())
  }

  #hasRoom(entry: Active): boolean {
    return entry.running.size < this.#pace.concurrencyPerJob
  }
}

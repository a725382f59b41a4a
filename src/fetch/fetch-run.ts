import { CbtorError } from '../domain/errors.ts'
import type { Attempt, Redirect } from '../domain/exchange.ts'
import { isIdempotent } from '../domain/method.ts'
import type { Random } from '../lib/random.ts'
import type { Answered } from './ending.ts'
import { abortFailure, isLostConnection, isTimeout } from './failure.ts'
import { type Hop, nextHop } from './redirect.ts'
import { Retries } from './retries.ts'
import { type FailedTry, hedgeAfterMs, mayHedge } from './retry-policy.ts'
import { type Good, type Result, Sender, type SenderOptions } from './sender.ts'
import type { CheckedUrl, TargetPolicy } from './target-policy.ts'
import { Trial } from './trial.ts'
import type { Trials } from './trials.ts'
import type { Try } from './tries.ts'

export interface FetchRunOptions<A extends Answered> extends SenderOptions<A> {
  readonly random: Random
  readonly policy: TargetPolicy
  /** The tries that go on, of all fetches. */
  readonly trials: Trials
  readonly stallMs: number
  /** Told where a redirect leads, before anything is sent there. What it throws, the fetch fails with. */
  onHop?(host: string): void
  /** Aborts at `endBy`, when the caller goes away, and when the service ends. */
  readonly signal: AbortSignal
}

/** One hop that is being tried on one worker. */
interface Running<A extends Answered> {
  readonly turn: Try
  readonly trial: Trial
  /** Never rejects. */
  readonly result: Promise<Result<A>>
}

/** What only the whole fetch knows of its answer. */
export interface History {
  readonly redirects: readonly Redirect[]
  readonly attempts: readonly Attempt[]
  readonly hedged?: boolean
}

/** One fetch: a chain of hops, each of them tried on one worker after another, always as the same identity. */
export class FetchRun<A extends Answered> {
  readonly #options: FetchRunOptions<A>
  readonly #sender: Sender<A>
  readonly #redirects: Redirect[] = []
  /** Where it is, or was when it ended. */
  #at: CheckedUrl | undefined
  /** The worker's turn that goes on, from hop to hop. */
  #turn: Try
  #isHedged = false

  /** Made as soon as there is a lease. */
  constructor(options: FetchRunOptions<A>) {
    this.#options = options
    this.#sender = new Sender(options)
    this.#turn = options.tries.begin()
  }

  /** Those that were followed. */
  get redirects(): readonly Redirect[] {
    return this.#redirects
  }

  /** Whether it has come to an onion service. */
  get isAtOnion(): boolean {
    return this.#at?.isOnion === true
  }

  /** Rejects with a CbtorError, or with the signal's reason. The worker of an answer is held until its tries are disposed. */
  async follow(first: Hop): Promise<A & History> {
    const { request, policy, tries, signal } = this.#options
    const redirects = this.#redirects
    try {
      for (let hop = first; ; ) {
        this.#at = hop.to
        const result = await this.#request(hop)
        if (result.type === 'answered') {
          this.#turn.succeed()
          const hedged = this.#isHedged ? { hedged: true } : {}
          return { ...result.answer, redirects, attempts: tries.attempts, ...hedged }
        }
        signal.throwIfAborted()
        if (redirects.length >= request.maxRedirects) {
          throw new CbtorError(
            'redirect_limit',
            `Cannot follow the redirect: there are more than ${request.maxRedirects}`,
          )
        }
        const next = nextHop(hop, result.head, policy, request)
        redirects.push({ status: result.head.status, from: hop.to.url.href, to: next.to.url.href })
        this.#options.onHop?.(next.to.target.host)
        hop = next
      }
    } finally {
      // A try that failed has been ended. One that is left did its part, even when we refuse the redirect that it got.
      this.#turn.end('ok')
    }
  }

  /** One hop, on as many workers as it takes. */
  async #request(hop: Hop): Promise<Good<A>> {
    const retries = new Retries(this.#options)
    for (;;) {
      const result = await this.#round(hop, retries.failed)
      if (result !== undefined) return result
      this.#turn = await retries.next(hop.method, this.#turn)
    }
  }

  /**
   * One hop on the worker whose turn it is and, when the caller asked for it and it takes long, on a second one as well.
   * Undefined when all of them failed, each of which is ended and in `failed` then.
   */
  async #round(hop: Hop, failed: FailedTry[]): Promise<Good<A> | undefined> {
    const first = this.#begin(hop, this.#turn)
    const second = this.#mayHedge(hop) ? await this.#hedge(hop, first) : undefined
    if (second === undefined) return this.#conclude(first, await first.result, failed)

    const [early, result] = await Promise.race([first, second].map(async (each) => [each, await each.result] as const))
    const late = early === first ? second : first
    const good = this.#conclude(early, result, failed)
    if (good === undefined) return this.#conclude(late, await late.result, failed)
    late.trial.abandon(new CbtorError('client_gone', 'Cannot go on with the try: another one has answered'))
    await late.result
    late.turn.end('hedge_lost')
    return good
  }

  /** The good result, whose worker keeps its turn; undefined for a failed one, which ends its worker's turn. */
  #conclude({ turn, trial }: Running<A>, result: Result<A>, failed: FailedTry[]): Good<A> | undefined {
    this.#turn = turn
    if (result.type !== 'failed') return result
    const error = isTimeout(result.error) ? trial.lateness(result.error) : result.error
    turn.end(error.code)
    failed.push({ ...result, error })
    return undefined
  }

  #begin(hop: Hop, turn: Try): Running<A> {
    const { clock, trials, stallMs, signal, tries } = this.#options
    const trial = new Trial({
      ...{ clock, trials, stallMs, parent: signal },
      workerId: turn.lease.worker.id,
      isIdempotent: isIdempotent(hop.method),
      onStall: (phase) => turn.lease.stalled?.(phase),
      mayLeave: () => tries.reserve('worker_unreachable'),
    })
    return { turn, trial, result: this.#tried(hop, turn, trial) }
  }

  /** Never rejects. The trial ends with it, or with the body of its answer. */
  async #tried(hop: Hop, turn: Try, trial: Trial): Promise<Result<A>> {
    const result = await this.#send(hop, turn, trial)
    if (result.type === 'answered' && result.over) void result.over.then(() => trial[Symbol.dispose]())
    else trial[Symbol.dispose]()
    return result
  }

  /** Never rejects. A connection that was lost because its worker is was not lost by the target. */
  async #send(hop: Hop, turn: Try, trial: Trial): Promise<Result<A>> {
    const result = await this.#sender.send(hop, turn, trial)
    if (result.type !== 'failed' || trial.signal.aborted || !isLostConnection(result.error)) return result
    await trial.verdict(this.#options.verdictMs)
    const isWorkers = trial.signal.aborted && !this.#options.signal.aborted
    return isWorkers ? { ...result, error: abortFailure(trial.signal.reason) } : result
  }

  #mayHedge(hop: Hop): boolean {
    return !this.#isHedged && mayHedge(hop.method, this.#options.request)
  }

  /** A second worker's try, begun when the first took too long to answer; undefined when there is none. */
  async #hedge(hop: Hop, first: Running<A>): Promise<Running<A> | undefined> {
    const { clock, tries, latencies } = this.#options
    const slow = Promise.withResolvers<true>()
    const afterMs = hedgeAfterMs(latencies[hop.to.isOnion ? 'onion' : 'clearnet'].p95())
    using _ = clock.timer(afterMs, () => slow.resolve(true))
    const isSlow = await Promise.race([slow.promise, first.result.then(() => false)])
    if (!isSlow || first.trial.isAnswered || first.trial.signal.aborted || !tries.reserve('timeout')) return undefined
    this.#isHedged = true
    return this.#begin(hop, tries.begin())
  }
}

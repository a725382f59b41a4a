import { CbtorError } from '../domain/errors.ts'
import { isIdempotent } from '../domain/method.ts'
import { abortFailure, connectFailure, isLostConnection, isTimeout, withHistory } from './failure.ts'
import type { Passage } from './passage.ts'
import { Retries } from './retries.ts'
import { type Binding, connectLimitMs, type FailedTry, mayLeave } from './retry-policy.ts'
import type { Traffic } from './traffic.ts'
import { Trial } from './trial.ts'
import type { Try } from './tries.ts'

export interface ThroughWorkersOptions {
  readonly traffic: Traffic
  readonly passage: Passage
  readonly request: Binding
  /** What it does, in case that it is done twice. */
  readonly method: string
  readonly isOnion: boolean
  /** By the monotonic clock: one worker never gets all the time that is left until then if there is another one. */
  readonly connectBy: number
  /** Aborts when time is up, when the caller goes away, and when the service ends. */
  readonly signal: AbortSignal
}

/** What came of one worker's try. */
export type Outcome<T> = { readonly type: 'good'; readonly value: T } | ({ readonly type: 'failed' } & FailedTry)

/** One worker's try, with what it has to tell and obey. */
export interface Going {
  readonly turn: Try
  /** Lives until the passage ends when it was good. */
  readonly trial: Trial
  /** Does what connects, but not for longer than it may take. */
  connecting<T>(connect: () => Promise<T>): Promise<T>
}

/**
 * Has one worker after another do `attempt`, until one succeeds or there is none left, by the same rules as fetches: those of
 * the retry policy and budget, with stalls and lost workers. A good try has its turn still; whoever wants the worker no more
 * ends it. Rejects with a CbtorError that has the `attempts`, or with the signal's reason; nothing goes on after that.
 */
export async function throughWorkers<T>(
  options: ThroughWorkersOptions,
  attempt: (going: Going) => Promise<Outcome<T>>,
): Promise<T> {
  const { traffic, passage, request, method, signal } = options
  const { tries } = passage
  const retries = new Retries({ clock: traffic.clock, random: traffic.random, tries, request, signal })
  try {
    for (let turn = tries.begin(); ; turn = await retries.next(method, turn)) {
      const outcome = await attemptOnce(options, turn, attempt)
      if (outcome.type === 'good') return outcome.value
      turn.end(outcome.error.code)
      retries.failed.push(outcome)
    }
  } catch (error) {
    if (passage.signal.aborted) throw passage.signal.reason
    throw error instanceof CbtorError
      ? withHistory(error, { attempts: tries.attempts, redirects: [] }, tries.refusal)
      : error
  } finally {
    tries.settle()
  }
}

async function attemptOnce<T>(
  { traffic, passage, request, method, isOnion, connectBy, signal }: ThroughWorkersOptions,
  turn: Try,
  attempt: (going: Going) => Promise<Outcome<T>>,
): Promise<Outcome<T>> {
  const { clock, trials, stallMs, verdictMs } = traffic
  const { tries } = passage
  const trial = new Trial({
    ...{ clock, trials, stallMs, parent: signal },
    workerId: turn.lease.worker.id,
    isIdempotent: isIdempotent(method),
    onStall: (phase) => turn.lease.stalled?.(phase),
    mayLeave: () => tries.reserve('worker_unreachable'),
  })
  const limitMs = connectLimitMs(isOnion, connectBy - clock.monotonic())
  const connecting = async <U>(connect: () => Promise<U>): Promise<U> => {
    using _ = clock.timer(limitMs, () => {
      if (mayLeave('tor_timeout', request) && tries.reserve('tor_timeout')) trial.giveUpConnecting(limitMs)
    })
    trial.connecting()
    return await connect()
  }

  let outcome: Outcome<T>
  try {
    outcome = await attempt({ turn, trial, connecting })
  } catch (error) {
    outcome = { type: 'failed', error: connectFailure(error), wasSent: false }
  }
  if (outcome.type === 'good') {
    passage.keep(trial)
    return outcome
  }
  // A connection that was lost because its worker is was not lost by the target.
  if (!trial.signal.aborted && isLostConnection(outcome.error)) await trial.verdict(verdictMs)
  const failure = trial.signal.aborted ? abortFailure(trial.signal.reason) : outcome.error
  const error = isTimeout(failure) ? trial.lateness(failure) : failure
  trial[Symbol.dispose]()
  return { ...outcome, error }
}

import type { Target } from '../domain/worker.ts'
import type { Clock } from '../lib/clock.ts'

/** After Envoy's and HAProxy's outlier detection, lowered because a failure through Tor takes seconds. */
export interface OutcomePolicy {
  /** How long an outcome says something, in milliseconds. */
  readonly windowMs: number
  /** So many failures in a row, over so many targets at least, make a worker suspect. */
  readonly failsInARow: number
  readonly distinctTargets: number
  /** And so does this share of failures, of so many outcomes at least within the window. */
  readonly failShare: number
  readonly failShareOf: number
  /** A target that failed on so many workers within the window is itself at fault. */
  readonly workersToBlameTarget: number
}

export const DEFAULT_OUTCOME_POLICY: OutcomePolicy = {
  windowMs: 30_000,
  failsInARow: 3,
  distinctTargets: 2,
  failShare: 0.5,
  failShareOf: 10,
  workersToBlameTarget: 2,
}

/** A worker's page of the ledger. */
export interface OutcomePage {
  /** A request succeeded through the worker. */
  passed(target?: Target): void
  /**
   * A request failed in a way that may be the worker's fault. True when that makes the worker suspect; what led to that
   * is then settled, and counting begins anew.
   */
  failed(target?: Target): boolean
  /** Its Tor is another one now. */
  forget(): void
}

interface Failure {
  readonly at: number
  /** Undefined where it is not known: taken for one of its own. */
  readonly target: string | undefined
  readonly worker: string
  /** It has made the worker suspect once; from then on it is evidence about its target only. */
  isSettled: boolean
}

interface Account {
  /** Within the window, oldest first. */
  failures: Failure[]
  /** Those since the last success. */
  row: Failure[]
  /** Successes by the second, so that memory does not grow with traffic. */
  successes: Map<number, number>
}

/** So many failures of a worker are remembered; the verdict is out long before. */
const MAX_FAILURES = 256

/**
 * The books of the whole pool on what became of live requests: tells failures of a worker from failures of a target, which
 * shows on more than one worker. One for the pool; each monitor has its worker's page.
 */
export class OutcomeLedger {
  readonly #clock: Clock
  readonly #policy: OutcomePolicy
  readonly #accounts = new Map<string, Account>()
  /**
   * By target that no worker has had an answer of since: the last failure of each worker with it. What failed last is last, and
   * what is older than the window goes.
   */
  readonly #unanswered = new Map<string, Failure[]>()

  constructor(clock: Clock, policy = DEFAULT_OUTCOME_POLICY) {
    this.#clock = clock
    this.#policy = policy
  }

  page(worker: string): OutcomePage {
    return {
      passed: (target) => this.#passed(worker, target),
      failed: (target) => this.#failed(worker, target),
      forget: () => this.#forget(worker),
    }
  }

  #passed(worker: string, target: Target | undefined): void {
    const account = this.#account(worker)
    const now = this.#clock.monotonic()
    const second = Math.floor(now / 1_000)
    account.row = []
    account.successes.set(second, (account.successes.get(second) ?? 0) + 1)
    for (const [at] of account.successes) {
      if (at * 1_000 >= now - this.#policy.windowMs) break
      account.successes.delete(at)
    }
    const name = nameOf(target)
    if (name !== undefined) this.#unanswered.delete(name)
  }

  #failed(worker: string, target: Target | undefined): boolean {
    const account = this.#account(worker)
    const at = this.#clock.monotonic()
    const failure: Failure = { at, target: nameOf(target), worker, isSettled: false }
    this.#remember(failure)
    account.failures = [...this.#recent(account.failures), failure].slice(-MAX_FAILURES)
    account.row = [...this.#recent(account.row), failure].slice(-MAX_FAILURES)
    if (!this.#isTooMany(account)) return false
    for (const each of account.failures) each.isSettled = true
    account.row = []
    account.successes = new Map()
    return true
  }

  #isTooMany(account: Account): boolean {
    const { windowMs, failsInARow, distinctTargets, failShare, failShareOf } = this.#policy
    // A target that turns out to be at fault is taken out also where it was counted before.
    const row = account.row.filter((failure) => !this.#isTargetAtFault(failure))
    const known = new Set(row.flatMap(({ target }) => target ?? [])).size
    const unknown = row.filter(({ target }) => target === undefined).length
    if (row.length >= failsInARow && known + unknown >= distinctTargets) return true

    const own = account.failures.filter((failure) => !failure.isSettled && !this.#isTargetAtFault(failure)).length
    const since = this.#clock.monotonic() - windowMs
    const successes = [...account.successes].reduce((sum, [at, count]) => (at * 1_000 >= since ? sum + count : sum), 0)
    return own + successes >= failShareOf && own >= failShare * (own + successes)
  }

  #isTargetAtFault({ target }: Failure): boolean {
    return this.#recent(this.#unanswered.get(target ?? '') ?? []).length >= this.#policy.workersToBlameTarget
  }

  #remember(failure: Failure): void {
    const { target, worker } = failure
    if (target === undefined) return
    const before = this.#recent(this.#unanswered.get(target) ?? [])
    this.#unanswered.delete(target)
    this.#unanswered.set(target, [...before.filter((each) => each.worker !== worker), failure])
    for (const [name, failures] of this.#unanswered) {
      if (this.#recent(failures.slice(-1)).length > 0) break
      this.#unanswered.delete(name)
    }
  }

  #forget(worker: string): void {
    this.#accounts.delete(worker)
    for (const [target, failures] of this.#unanswered) {
      const others = failures.filter((failure) => failure.worker !== worker)
      if (others.length === 0) this.#unanswered.delete(target)
      else this.#unanswered.set(target, others)
    }
  }

  #recent(failures: readonly Failure[]): Failure[] {
    const since = this.#clock.monotonic() - this.#policy.windowMs
    return failures.filter(({ at }) => at >= since)
  }

  #account(worker: string): Account {
    const known = this.#accounts.get(worker)
    const account = known ?? { failures: [], row: [], successes: new Map() }
    if (known === undefined) this.#accounts.set(worker, account)
    return account
  }
}

function nameOf(target: Target | undefined): string | undefined {
  return target && `${target.host}:${target.port}`
}

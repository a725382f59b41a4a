import type { Caller } from '../../domain/caller.ts'
import { CbtorError } from '../../domain/errors.ts'
import type { FetchAnswer, FetchRequest } from '../../domain/exchange.ts'
import { isIdempotent } from '../../domain/method.ts'
import type { Clock } from '../../lib/clock.ts'
import type { Random } from '../../lib/random.ts'
import { deadlineError, droppedError, interruption, ourError, outcomeOf } from '../fetch-errors.ts'
import { keptProblem } from '../kept.ts'
import { nextStep } from '../next-step.ts'
import { Holds } from './holds.ts'
import { insist } from './insist.ts'
import type { Ending, JobLedger, Slot, TurnProblems } from './job-ledger.ts'
import type { Turn } from './ledger-rows.ts'
import type { Unit, UnitEnd } from './unit-queue.ts'

export interface SharedRunnerOptions {
  readonly clock: Clock
  readonly random: Random
  readonly ledger: Pick<JobLedger, 'begin' | 'end' | 'rest' | 'beat' | 'leave'>
  /** Whom the job's owner stands for; undefined while nobody knows, and then the job rests. */
  callerOf(owner: string): Caller | undefined
  /** As a caller's own fetch, so that limits, politeness and target rules hold. */
  fetch(request: FetchRequest, signal: AbortSignal): Promise<FetchAnswer>
  /** Every fetch of the job has ended. */
  onEnded(id: string): void
  /** Something was written down that takes room. */
  onKept(): void
  /** This replica would refuse whatever it began before that instant; others may not. */
  onRefusing(until: number): void
  onBug(error: unknown): void
}

interface Running {
  readonly id: string
  readonly owner: string
  readonly controller: AbortController
  readonly isIdempotent: boolean
}

type Go = Extract<Turn, { readonly type: 'go' }>

/** How long a request that must not be sent twice may go on when the service ends. */
const GRACE_MS = 5_000
/** Another replica may know whom this one has yet to hear of. */
const UNKNOWN_CALLER_MS = 5_000
/** So often others hear that this replica is at its fetches. */
const BEAT_MS = 1_500
const LOST_MS = 1_000
const TURN_BYTES = 9
/** More than that of an answer takes the store too long to write down. */
const MAX_BODY_BYTES = 16 * 1024 * 1024

const PROBLEMS: TurnProblems = {
  late: keptProblem(deadlineError()),
  interrupted: keptProblem(interruption('GET')),
  mayBeSent: keptProblem(interruption('POST')),
}

/** Carries the turns out that BullMQ gives to this replica: one fetch each. */
export class SharedRunner {
  readonly #options: SharedRunnerOptions
  /** Units whose turn is not over here: also while the store is yet to hear what came of it. */
  readonly #turns = new Set<string>()
  /** By unit. */
  readonly #running = new Map<string, Running>()
  readonly #holds: Holds
  readonly #life = new AbortController()
  #beatTimer: Disposable | undefined

  constructor(options: SharedRunnerOptions) {
    this.#options = options
    this.#holds = new Holds(options.clock)
  }

  start(): void {
    this.#beat()
  }

  get runningCount(): number {
    return this.#running.size
  }

  /** The job has ended or is no more: its running fetches end at once. */
  drop(id: string): void {
    for (const each of this.#running.values()) if (each.id === id) each.controller.abort(droppedError())
  }

  /** The same for all jobs of a caller, who begins none for a while. */
  dropOwner(owner: string): void {
    this.#holds.hold(owner, this.#options.clock.now() + UNKNOWN_CALLER_MS)
    for (const each of this.#running.values()) if (each.owner === owner) each.controller.abort(droppedError())
  }

  /** Begins no more, and ends what runs: at once where it can be done again, a little later where it cannot. */
  stop(): void {
    this.#life.abort()
    const abort = (which: readonly Running[]) => {
      for (const { controller } of which)
        controller.abort(new CbtorError('shutting_down', 'Cannot go on with the fetch'))
    }
    const running = [...this.#running.values()]
    abort(running.filter((each) => each.isIdempotent))
    this.#options.clock.timer(GRACE_MS, () => abort([...this.#running.values()]))
  }

  /** No turn is under way any more: what may be left of them is taken over at once. */
  async leave(): Promise<void> {
    this.#beatTimer?.[Symbol.dispose]()
    this.#beatTimer = undefined
    await this.#options.ledger.leave().catch(() => {})
  }

  /** One turn of a slot. Never rejects. */
  async turn(unit: Pick<Unit, 'id' | 'owner'>): Promise<UnitEnd> {
    // Its lock got lost while the store was away, and not the turn.
    if (this.#turns.has(unit.id)) return { type: 'sleep', at: this.#options.clock.now() + LOST_MS }
    this.#turns.add(unit.id)
    try {
      return await this.#turn(unit)
    } catch (error) {
      this.#options.onBug(error)
      return { type: 'leave' }
    } finally {
      this.#turns.delete(unit.id)
    }
  }

  async #turn({ id: unit, owner }: Pick<Unit, 'id' | 'owner'>): Promise<UnitEnd> {
    const { clock, random, ledger, callerOf } = this.#options
    const slot = slotOf(unit)
    if (slot === undefined) return { type: 'over' }
    if (this.#life.signal.aborted) return { type: 'back' }
    const caller = callerOf(owner)
    if (caller === undefined) this.#holds.hold(owner, clock.now() + UNKNOWN_CALLER_MS)
    const heldUntil = this.#holds.until(owner)
    if (caller === undefined || heldUntil !== undefined)
      return this.#end(await this.#insist(() => ledger.rest(slot, heldUntil ?? clock.now() + UNKNOWN_CALLER_MS)))

    const turn = random.bytes(TURN_BYTES).toString('base64url')
    const begun = await this.#insist(() => ledger.begin(slot, turn, clock.now(), PROBLEMS))
    if (begun?.type === 'ended') this.#options.onEnded(slot.id)
    if (begun?.type !== 'go') return this.#end(begun)
    const ending = await this.#fetch(unit, slot, owner, begun, caller)
    const next = await this.#insist(() => ledger.end(slot, begun.n, turn, clock.now(), ending))
    if (ending.type === 'done' || ending.type === 'failed') this.#options.onKept()
    if (next?.type === 'ended') this.#options.onEnded(slot.id)
    return this.#end(next)
  }

  async #fetch(unit: string, { id }: Slot, owner: string, go: Go, caller: Caller): Promise<Ending> {
    const { fetch, onBug, clock } = this.#options
    if (go.request === undefined || go.retry === undefined) {
      const error = new CbtorError(
        'internal',
        'Cannot complete the fetch: what is kept of it was not sealed by this pool',
      )
      return { type: 'failed', problem: keptProblem(error) }
    }
    const mayRepeat = isIdempotent(go.request.method)
    const controller = new AbortController()
    this.#running.set(unit, { id, owner, controller, isIdempotent: mayRepeat })
    let answer: FetchAnswer | undefined
    let failure: unknown
    try {
      if (this.#life.signal.aborted) return { type: 'wait', at: clock.now() }
      const maxBytes = Math.min(go.request.maxBytes, MAX_BODY_BYTES)
      answer = await fetch({ ...go.request, maxBytes, caller }, controller.signal)
    } catch (error) {
      failure = error
    } finally {
      this.#running.delete(unit)
    }
    if (answer === undefined && controller.signal.aborted)
      return mayRepeat ? { type: 'wait', at: clock.now() } : { type: 'failed', problem: PROBLEMS.mayBeSent }
    return this.#ending(owner, go, go.request, go.retry, answer ?? ourError(failure, onBug))
  }

  #ending(
    owner: string,
    { failures, deadlineAt }: Go,
    { method, workerId, stickyKey }: NonNullable<Go['request']>,
    retry: NonNullable<Go['retry']>,
    result: FetchAnswer | CbtorError,
  ): Ending {
    const { clock, random, onRefusing } = this.#options
    const now = clock.now()
    const isTied = workerId !== undefined || stickyKey !== undefined
    const outcome = outcomeOf(result, now)
    const step = nextStep({ method, isTied, failures, deadlineAt }, outcome, now, retry, random.float())
    const problem = result instanceof CbtorError ? keptProblem(result) : undefined
    switch (step.type) {
      case 'end':
        return result instanceof CbtorError
          ? { type: 'failed', problem: keptProblem(result) }
          : { type: 'done', answer: result }
      case 'retry':
        return { type: 'retry', phase: step.phase, at: step.at, ...(problem && { problem }) }
      case 'wait':
        if (step.holds === 'caller') this.#holds.hold(owner, step.at)
        if (step.holds === 'all') onRefusing(step.at)
        return { type: 'wait', at: step.at }
    }
  }

  #end(turn: Turn | undefined): UnitEnd {
    const { clock } = this.#options
    switch (turn?.type) {
      case 'over':
      case 'ended':
        return { type: 'over' }
      case 'line':
        return { type: 'line', tag: turn.tag }
      case 'sleep':
        return { type: 'sleep', at: turn.at }
      case 'held':
        return { type: 'sleep', at: clock.now() + turn.ms }
      case 'lost':
        return { type: 'sleep', at: clock.now() + LOST_MS }
      default:
        return { type: 'leave' }
    }
  }

  #beat(): void {
    const { clock, ledger, onBug } = this.#options
    const ids = [...new Set([...this.#running.values()].map(({ id }) => id))]
    // The store may be away: whoever looks later waits for the next beat.
    void ledger
      .beat(ids)
      .then((ended) => {
        for (const id of ended) this.drop(id)
      })
      .catch(() => {})
    this.#beatTimer = clock.timer(BEAT_MS, () => {
      try {
        this.#beat()
      } catch (error) {
        onBug(error)
      }
    })
  }

  async #insist<T>(ask: () => Promise<T>): Promise<T | undefined> {
    const { clock, onBug } = this.#options
    return await insist(ask, { clock, onBug, signal: this.#life.signal })
  }
}

/** What a slot's unit is called. */
export function unitOf({ id, slot }: Slot): string {
  return `${id}-${slot}`
}

function slotOf(unit: string): Slot | undefined {
  const [, id, slot] = /^(.+)-(\d+)$/.exec(unit) ?? []
  return id === undefined ? undefined : { id, slot: Number(slot) }
}

import { CbtorError } from '../domain/errors.ts'
import { onAbort } from '../lib/abort.ts'
import type { Clock } from '../lib/clock.ts'

export interface LinePolicy {
  /** How long a request waits at most; 0: nobody waits. */
  readonly waitMs: number
  /** How many of one key wait at most, */
  readonly perKey: number
  /** and of all together. */
  readonly total: number
}

export const LINE_POLICY: LinePolicy = { waitMs: 5_000, perKey: 128, total: 1_024 }

/** What a request waits for that cannot go now: the line, what it is refused with, and when it is worth another try. */
export interface Later {
  readonly line: string
  readonly refusal: CbtorError
  /** When it is known. */
  readonly inMs?: number | undefined
  /** How long it takes to serve one in that line, when something is known of it beforehand. */
  readonly everyMs?: number | undefined
}

export interface LineRequest<T> {
  /** Whose it is: keys take turns. */
  readonly key: string
  /** How long it may wait, if that is less than anybody may. */
  readonly withinMs: number
  readonly signal: AbortSignal
  /** The lines that it may have to stand in, one after the other: it overtakes nobody who stands there. Asked for at each look. */
  lines(): readonly string[]
  /** Takes what it needs, or says what it waits for. What it throws, the request is refused with. */
  attempt(): { readonly taken: T } | Later
}

export interface WaitingLinesOptions {
  readonly clock: Clock
  readonly policy: LinePolicy
  /** Told of each request that has waited, when that is over. */
  onWaited?(ms: number, outcome: 'served' | 'refused' | 'gone'): void
}

interface Waiter {
  readonly request: LineRequest<unknown>
  /** Who came first is first among those of its key, in whatever line. */
  readonly order: number
  readonly since: number
  line: Line
  serve(value: unknown): void
  refuse(error: unknown): void
}

interface Line {
  readonly name: string
  /** The key whose turn is next is first. */
  readonly byKey: Map<string, Waiter[]>
  refusal: CbtorError
  /** When its first may be served at the earliest, as far as is known. */
  notBefore: number
  /** How long it takes to serve one: an average, 0 as long as nothing is known. */
  everyMs: number
  /** What `everyMs` is an average of. */
  known: number
  lastServedAt: number
  alarm: Disposable | undefined
}

/** For what no event tells of, such as a worker that has room for a host although the one that was waited for has not. */
const LOOK_AGAIN_MS = 250
/** Nobody is asked to come back sooner than that. */
const MIN_RETRY_AFTER_MS = 1_000
const WEIGHT_OF_LAST = 0.2

/**
 * Where requests wait that cannot go now, but may soon. Each line is for one thing to become free; in it, keys are served in turn
 * and the requests of a key in the order in which they came, so that a key with a thousand of them delays another's by one. Who
 * cannot be served in time, as far as can be told, is refused at once.
 */
export class WaitingLines {
  readonly #options: WaitingLinesOptions
  #policy: LinePolicy
  /** Only those in which somebody waits. */
  readonly #lines = new Map<string, Line>()
  readonly #ofKey = new Map<string, number>()
  readonly #due = new Set<string>()
  #waiting = 0
  #order = 0

  constructor(options: WaitingLinesOptions) {
    this.#options = options
    this.#policy = options.policy
  }

  /** Who waits already waits as long as was promised. */
  reconfigure(policy: LinePolicy): void {
    this.#policy = policy
  }

  /** How many wait. */
  get waiting(): number {
    return this.#waiting
  }

  /**
   * What the request has taken, at once if it can, else a promise of it. Throws or rejects with what `attempt` throws, with the
   * refusal when it has to wait for too long, too many wait, or time is over; and with the signal's reason, at once, when aborted.
   */
  enter<T>(request: LineRequest<T>): T | Promise<T> {
    const ahead = this.#firstOf(request.lines())
    if (ahead !== undefined) return this.#wait(request, ahead)
    const outcome = request.attempt()
    return 'taken' in outcome ? outcome.taken : this.#wait(request, this.#lineFor(outcome))
  }

  /** Something may have become free for those in this line. They are served a moment later, so that it may be called from anywhere. */
  look(line: string): void {
    if (!this.#lines.has(line)) return
    if (this.#due.size === 0) queueMicrotask(() => this.#serveDue())
    this.#due.add(line)
  }

  #wait<T>(request: LineRequest<T>, line: Line): Promise<T> {
    const { clock } = this.#options
    const policy = this.#policy
    const { key } = request
    const withinMs = Math.min(policy.waitMs, request.withinMs)
    const expectedMs = this.#expectedMs(line, key)
    const ofKey = this.#ofKey.get(key) ?? 0
    if (expectedMs > withinMs || withinMs <= 0 || ofKey >= policy.perKey || this.#waiting >= policy.total) {
      if (line.byKey.size === 0) this.#forget(line)
      throw refusalOf(line, expectedMs)
    }

    const { promise, resolve, reject } = Promise.withResolvers<T>()
    const ends = new DisposableStack()
    const over = (outcome: 'served' | 'refused' | 'gone') => {
      ends.dispose()
      this.#leave(waiter)
      this.#options.onWaited?.(clock.monotonic() - waiter.since, outcome)
    }
    const waiter: Waiter = {
      ...{ request, line, order: this.#order++, since: clock.monotonic() },
      serve(value) {
        over('served')
        resolve(value as T)
      },
      refuse(error) {
        over('refused')
        reject(error)
      },
    }
    this.#join(line, waiter)
    this.#ofKey.set(key, ofKey + 1)
    this.#waiting++
    ends.use(clock.timer(withinMs, () => waiter.refuse(refusalOf(waiter.line, this.#expectedMs(waiter.line, key)))))
    ends.use(
      onAbort(request.signal, (reason) => {
        over('gone')
        reject(reason)
      }),
    )
    return promise
  }

  #serveDue(): void {
    const due = [...this.#due]
    this.#due.clear()
    for (const name of due) {
      const line = this.#lines.get(name)
      if (line !== undefined) this.#serve(line)
    }
  }

  /** Serves those in the line, in turn, until one has to wait on. */
  #serve(line: Line): void {
    for (let looks = sizeOf(line); looks > 0; looks--) {
      const first = line.byKey.values().next().value?.[0]
      if (first === undefined) return
      const lines = first.request.lines()
      const further = this.#firstOf(lines.slice(lines.indexOf(line.name) + 1))
      if (further !== undefined) {
        this.#move(first, further)
        // There may be room for one. Who is in the wrong line by now takes none.
        if (lines.includes(line.name)) break
        continue
      }
      let outcome: { readonly taken: unknown } | Later
      try {
        outcome = first.request.attempt()
      } catch (error) {
        first.refuse(error)
        continue
      }
      if ('taken' in outcome) {
        this.#served(line)
        first.serve(outcome.taken)
        continue
      }
      const next = this.#lineFor(outcome)
      if (next === line) break
      this.#move(first, next)
    }
    if (this.#lines.get(line.name) === line) this.#watch(line)
  }

  #served(line: Line): void {
    const now = this.#options.clock.monotonic()
    const ms = now - line.lastServedAt
    // Of the first few the mean, lest the very first decides.
    const weight = Math.max(WEIGHT_OF_LAST, 1 / ++line.known)
    line.everyMs += (ms - line.everyMs) * weight
    line.lastServedAt = now
  }

  /** How long somebody of this key who comes now would wait there, as far as can be told. */
  #expectedMs(line: Line, key: string): number {
    const own = line.byKey.get(key)?.length ?? 0
    let ahead = own
    for (const [other, { length }] of line.byKey) if (other !== key) ahead += Math.min(length, own + 1)
    const now = this.#options.clock.monotonic()
    // As long as it has served nobody, one takes at least as long as that.
    const everyMs = line.known === 0 ? now - line.lastServedAt : line.everyMs
    return Math.max(0, line.notBefore - now) + ahead * everyMs
  }

  #firstOf(names: readonly string[]): Line | undefined {
    for (const name of names) {
      const line = this.#lines.get(name)
      if (line !== undefined) return line
    }
    return undefined
  }

  #lineFor({ line: name, refusal, inMs = 0, everyMs = 0 }: Later): Line {
    const now = this.#options.clock.monotonic()
    const known = this.#lines.get(name)
    if (known !== undefined) {
      known.refusal = refusal
      known.notBefore = now + inMs
      return known
    }
    const line: Line = {
      ...{ name, refusal, byKey: new Map(), notBefore: now + inMs },
      ...{ everyMs, known: everyMs === 0 ? 0 : 1, lastServedAt: now, alarm: undefined },
    }
    this.#lines.set(name, line)
    return line
  }

  #move(waiter: Waiter, to: Line): void {
    this.#part(waiter)
    this.#join(to, waiter)
  }

  #join(line: Line, waiter: Waiter): void {
    const { key } = waiter.request
    const queue = line.byKey.get(key) ?? []
    const at = queue.findLastIndex(({ order }) => order < waiter.order) + 1
    queue.splice(at, 0, waiter)
    line.byKey.set(key, queue)
    waiter.line = line
    if (line.alarm === undefined) this.#watch(line)
  }

  #leave(waiter: Waiter): void {
    const { key } = waiter.request
    this.#part(waiter)
    this.#waiting--
    const left = (this.#ofKey.get(key) ?? 0) - 1
    if (left > 0) this.#ofKey.set(key, left)
    else this.#ofKey.delete(key)
  }

  /** Takes it out of its line; if it was its key's turn, the next one's is. */
  #part(waiter: Waiter): void {
    const { line, request } = waiter
    const queue = line.byKey.get(request.key) ?? []
    const at = queue.indexOf(waiter)
    if (at < 0) return
    queue.splice(at, 1)
    const wasItsTurn = at === 0 && line.byKey.keys().next().value === request.key
    if (queue.length === 0) line.byKey.delete(request.key)
    else if (wasItsTurn) {
      line.byKey.delete(request.key)
      line.byKey.set(request.key, queue)
    }
    if (line.byKey.size === 0) this.#forget(line)
  }

  #watch(line: Line): void {
    line.alarm?.[Symbol.dispose]()
    const inMs = line.notBefore - this.#options.clock.monotonic()
    const waitMs = inMs > 0 ? Math.min(inMs, LOOK_AGAIN_MS) : LOOK_AGAIN_MS
    line.alarm = this.#options.clock.timer(waitMs, () => {
      line.alarm = undefined
      this.#serve(line)
    })
  }

  #forget(line: Line): void {
    line.alarm?.[Symbol.dispose]()
    line.alarm = undefined
    if (this.#lines.get(line.name) === line) this.#lines.delete(line.name)
  }
}

function sizeOf({ byKey }: Line): number {
  let size = 0
  for (const { length } of byKey.values()) size += length
  return size
}

function refusalOf({ refusal }: Line, expectedMs: number): CbtorError {
  const retryAfterMs = Math.max(MIN_RETRY_AFTER_MS, Math.ceil(expectedMs))
  return new CbtorError(refusal.code, refusal.message, { retryAfterMs })
}

import type { DesiredState } from '../domain/worker.ts'
import { abortable, deadline, onAbort } from '../lib/abort.ts'
import type { Clock } from '../lib/clock.ts'
import type { Random } from '../lib/random.ts'
import {
  type Health,
  type HealthAction,
  type HealthEvent,
  isProbed,
  starting,
  stepUnlessStopped,
  upcoming,
} from './machine.ts'
import type { MonitorEvent, Monitored, ProbeResult } from './monitored.ts'
import { DEFAULT_POLICY, type HealthPolicy } from './policy.ts'
import type { RecoveryResult } from './recovery.ts'

export interface MonitorOptions {
  readonly clock: Clock
  readonly random: Random
  readonly policy?: HealthPolicy
  readonly desired?: DesiredState
  /** Told of everything that happens, in order. Must not throw. */
  readonly onEvent?: (event: MonitorEvent) => void
}

/** What the monitor will do next by itself, and when (wall-clock milliseconds). */
export interface NextAction {
  readonly type: 'probe' | 'recover' | 'reboot'
  readonly at: number
}

/** These say that whatever the monitor is doing just now is about a worker that no longer is as it was. */
const OUTDATING: ReadonlySet<HealthEvent> = new Set(['lost', 'enabled', 'reset'])

/** Watches over one worker: probes it, hears what others know of it, and does what the machine decides. */
export class Monitor {
  readonly #worker: Monitored
  readonly #clock: Clock
  readonly #random: Random
  readonly #policy: HealthPolicy
  readonly #onEvent: (event: MonitorEvent) => void
  #desired: DesiredState
  #health: Health
  /** What the machine decided on entering the present state and is not yet done. */
  #action: HealthAction | undefined
  #nextProbeAt: number
  #lastSuccessAt = Number.NEGATIVE_INFINITY
  #skipped = 0
  /** Ends the present wait, so that the loop looks again at what is to be done. */
  #wake = () => {}
  /** Ends the present probe, attempt or reboot order, of which no result is wanted any more. */
  #task = new AbortController()

  constructor(worker: Monitored, options: MonitorOptions) {
    this.#worker = worker
    this.#clock = options.clock
    this.#random = options.random
    this.#onEvent = options.onEvent ?? (() => {})
    const policy = options.policy ?? DEFAULT_POLICY
    this.#policy = worker.reboot === undefined ? { ...policy, rebootAfterAttempts: null } : policy
    this.#desired = options.desired ?? 'enabled'
    this.#health = starting(this.#now())
    this.#nextProbeAt = this.#now()
  }

  get health(): Health {
    return this.#health
  }

  /** Undefined during a recovery attempt, and for a worker that is wished to be stopped. */
  get nextAction(): NextAction | undefined {
    if (this.#desired === 'stopped') return undefined
    const probe = isProbed(this.#health) ? { type: 'probe' as const, at: this.#nextProbeAt } : undefined
    const next = upcoming(this.#health, this.#policy) ?? probe
    return next && { type: next.type, at: this.#clock.now() + Math.max(0, next.at - this.#now()) }
  }

  /** Watches until `signal` aborts, then resolves, leaving no timer. To be called once. */
  async run(signal: AbortSignal): Promise<void> {
    while (!signal.aborted) await this.#turn(signal)
  }

  /** A live request succeeded through the worker. */
  outcomePassed(): void {
    this.#lastSuccessAt = this.#now()
    this.#feed('outcome-passed', 'a live request succeeded')
  }

  /** A live request failed, and it was the worker's fault; those of the target or of nobody are not told here. */
  outcomeFailed(reason: string): void {
    this.#feed('outcome-failed', reason)
  }

  /** The worker is gone, for certain. */
  lost(reason: string): void {
    this.#feed('lost', reason)
  }

  /** The bootstrap moved on. At 100 percent, call `probeNow` too. */
  progressed(): void {
    this.#feed('progressed', 'the bootstrap moved on')
  }

  /** Probes as soon as nothing else is being done, rather than at the next interval. */
  probeNow(): void {
    this.#nextProbeAt = this.#now()
    this.#lastSuccessAt = Number.NEGATIVE_INFINITY
    this.#wake()
  }

  /** Follows the operator's wish. A stopped worker is neither probed nor healed; afterwards it starts from nothing known. */
  setDesired(desired: DesiredState): void {
    const startsOrStops = (desired === 'stopped') !== (this.#desired === 'stopped')
    this.#desired = desired
    if (startsOrStops) this.reset(desired === 'stopped' ? 'stopped by the operator' : 'started by the operator')
  }

  /** The operator (re)starts Tor: ends a recovery that is going on, and everything is to be shown anew. */
  reset(reason: string): void {
    this.#feed('reset', reason)
    this.probeNow()
  }

  /** The operator says that it is well, whatever was seen. A stopped worker is to be started first, by `setDesired`. */
  forceHealthy(reason: string): void {
    this.#feed('enabled', reason)
  }

  #feed(event: HealthEvent, reason: string): void {
    const before = this.#health
    const { health, action } = stepUnlessStopped(this.#desired, before, event, this.#now(), this.#policy)
    if (health === before) return
    this.#health = health
    this.#action = action
    if (OUTDATING.has(event)) this.#task.abort()
    this.#wake()
    if (health.status !== before.status) {
      this.#onEvent({ type: 'health-changed', from: before.status, to: health.status, reason })
    }
  }

  /** Does the one thing that is to be done now, or waits until there is one. */
  async #turn(signal: AbortSignal): Promise<void> {
    if (this.#desired === 'stopped') return await this.#waitUntil(Number.POSITIVE_INFINITY, signal)

    const action = this.#action
    this.#action = undefined
    if (action !== undefined) return await this.#perform(action, signal)

    const now = this.#now()
    const dueAt = upcoming(this.#health, this.#policy)?.at ?? Number.POSITIVE_INFINITY
    if (dueAt <= now) return this.#feed('due', 'recovery begins')

    const probeAt = isProbed(this.#health) ? this.#nextProbeAt : Number.POSITIVE_INFINITY
    if (probeAt <= now) return await this.#probe(dueAt - now, signal)
    await this.#waitUntil(Math.min(dueAt, probeAt), signal)
  }

  async #perform(action: HealthAction, signal: AbortSignal): Promise<void> {
    switch (action.type) {
      case 'probe':
        return this.probeNow()
      case 'recover':
        return await this.#recover(action.attempt, signal)
      case 'reboot':
        return await this.#reboot(signal)
    }
  }

  /** `mostMs`: recovery goes on by then, whatever the probe does. */
  async #probe(mostMs: number, signal: AbortSignal): Promise<void> {
    const { checkEveryMs, checkJitter, probeTimeoutMs, maxSkippedProbes } = this.#policy
    const startedAt = this.#now()
    this.#nextProbeAt = startedAt + checkEveryMs * (1 + checkJitter * (2 * this.#random.float() - 1))

    const isShownByTraffic = isFaultless(this.#health) && startedAt - this.#lastSuccessAt < checkEveryMs
    this.#skipped = isShownByTraffic && this.#skipped < maxSkippedProbes ? this.#skipped + 1 : 0
    if (this.#skipped > 0) return

    const probe = await this.#within(Math.min(probeTimeoutMs, mostMs), signal, (s) => this.#worker.probe(s))
    if (probe === undefined) return
    const result: ProbeResult = 'error' in probe ? { verdict: 'failed', reason: probe.error } : probe.value
    this.#onEvent({ type: 'probe-ended', ms: this.#now() - startedAt, ...result })
    if (result.verdict === 'passed') this.#feed('probe-passed', 'a probe passed')
    if (result.verdict === 'failed') this.#feed('probe-failed', result.reason)
  }

  async #recover(attempt: number, signal: AbortSignal): Promise<void> {
    const startedAt = this.#now()
    this.#onEvent({ type: 'recovery-started', attempt })
    const tried = await this.#within(this.#policy.attemptTimeoutMs, signal, (s) => this.#worker.recover(attempt, s))
    if (tried === undefined) return
    const ms = this.#now() - startedAt
    const result: RecoveryResult =
      'error' in tried ? { ok: false, steps: [{ name: 'recover', ok: false, ms, error: tried.error }] } : tried.value
    this.#onEvent({ type: 'recovery-ended', attempt, ms, result })
    this.#feed(
      result.ok ? 'recovery-passed' : 'recovery-failed',
      `recovery attempt ${attempt} ${result.ok ? 'passed' : 'failed'}`,
    )
  }

  async #reboot(signal: AbortSignal): Promise<void> {
    const ordered = await this.#within(this.#policy.rebootWaitMs, signal, async (s) => this.#worker.reboot?.(s))
    if (ordered === undefined) return
    this.#onEvent('error' in ordered ? { type: 'reboot-failed', reason: ordered.error } : { type: 'reboot-ordered' })
  }

  /** Runs `work` for so long at most. Undefined when an event or the end of the watch has made it pointless. */
  async #within<T>(
    limitMs: number,
    end: AbortSignal,
    work: (signal: AbortSignal) => Promise<T>,
  ): Promise<{ value: T } | { error: string } | undefined> {
    const task = new AbortController()
    this.#task = task
    using _ = onAbort(end, (reason) => task.abort(reason))
    using limit = deadline(this.#clock, limitMs, task.signal, () => new Error(`no answer within ${limitMs} ms`))
    try {
      const value = await abortable(work(limit.signal), limit.signal)
      return task.signal.aborted ? undefined : { value }
    } catch (error) {
      if (task.signal.aborted) return undefined
      return { error: error instanceof Error ? error.message : String(error) }
    }
  }

  async #waitUntil(at: number, end: AbortSignal): Promise<void> {
    const { promise, resolve } = Promise.withResolvers<void>()
    this.#wake = resolve
    using _ = onAbort(end, () => resolve())
    using _timer = at === Number.POSITIVE_INFINITY ? undefined : this.#clock.timer(at - this.#now(), resolve)
    await promise
  }

  /** Milliseconds that never go back: a clock that is set must neither delay healing nor hasten it. */
  #now(): number {
    return this.#clock.monotonic()
  }
}

function isFaultless(health: Health): boolean {
  return health.status === 'healthy' && health.fails === 0
}

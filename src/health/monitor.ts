import type { DesiredState, Target } from '../domain/worker.ts'
import { onAbort } from '../lib/abort.ts'
import type { Clock } from '../lib/clock.ts'
import type { Random } from '../lib/random.ts'
import { Chronicle } from './chronicle.ts'
import { CurrentTask } from './current-task.ts'
import { dampen, UNDAMPED } from './damping.ts'
import { Healer } from './healer.ts'
import type { Healing } from './healing.ts'
import { judge } from './judge.ts'
import {
  type Health,
  type HealthAction,
  type HealthEvent,
  isDown,
  isFaultless,
  isNews,
  isProbed,
  isUp,
  starting,
  stepUnlessStopped,
} from './machine.ts'
import { type MonitorView, type NextAction, viewOf, wallTime } from './monitor-view.ts'
import type { MonitorEvent, Monitored, ProbeResult } from './monitored.ts'
import { OutcomeLedger, type OutcomePage } from './outcome-ledger.ts'
import { DEFAULT_POLICY, type HealthPolicy } from './policy.ts'
import { PoolGovernor, type Ward } from './pool-governor.ts'
import { ProbePace } from './probe-pace.ts'
import { watchPulse } from './pulse.ts'
import { SharedCare } from './shared-care.ts'
import type { SharedWatch } from './shared-watch.ts'

export interface MonitorOptions {
  readonly clock: Clock
  readonly random: Random
  readonly policy?: HealthPolicy
  readonly desired?: DesiredState
  /** Told of everything that happens, in order. Must not throw. */
  readonly onEvent?: (event: MonitorEvent) => void
  /** The worker's place at the governor of its pool, and its page in the pool's ledger. Left out, it is a pool of its own. */
  readonly ward?: Ward
  readonly outcomes?: OutcomePage
  /** For a worker that other gateways reach, too. */
  readonly shared?: SharedWatch | undefined
}

/** These say that whatever the monitor is doing just now is about a worker that no longer is as it was. */
const OUTDATING: ReadonlySet<HealthEvent> = new Set(['lost', 'enabled', 'reset'])

/** Watches over one worker: probes it, hears what others know of it, and does what the machine decides and the governor permits. */
export class Monitor {
  readonly #worker: Monitored
  readonly #clock: Clock
  /** One object for all that belongs to this monitor, so that it is told a new one in one place. */
  readonly #policy: { -readonly [K in keyof HealthPolicy]: HealthPolicy[K] }
  readonly #onEvent: (event: MonitorEvent) => void
  readonly #ward: Ward
  readonly #care: SharedCare
  readonly #isReachedByAll: boolean
  readonly #outcomes: OutcomePage
  readonly #chronicle: Chronicle
  readonly #pace: ProbePace
  readonly #task: CurrentTask
  readonly #healer: Healer
  #desired: DesiredState
  #health: Health
  #damping = UNDAMPED
  /** What the machine decided on entering the present state and is not yet done. */
  #action: HealthAction | undefined
  /** Ends the present wait, so that the loop looks again at what is to be done. */
  #wake = () => {}

  constructor(worker: Monitored, options: MonitorOptions) {
    const { clock, random, policy = DEFAULT_POLICY, desired = 'enabled', onEvent } = options
    this.#worker = worker
    this.#clock = clock
    this.#isReachedByAll = options.shared?.isReachedByAll === true
    this.#policy = policyFor(worker, policy, this.#isReachedByAll)
    this.#care = new SharedCare(options.shared, options.ward ?? new PoolGovernor({ clock }).ward('worker'))
    this.#ward = this.#care.ward
    this.#outcomes = options.outcomes ?? new OutcomeLedger(clock).page('worker')
    this.#chronicle = new Chronicle(clock.now())
    this.#onEvent = (event) => {
      this.#chronicle.record(event, clock.now())
      onEvent?.(event)
    }
    this.#desired = desired
    this.#health = starting(this.#now())
    this.#pace = new ProbePace(random, this.#policy, this.#now())
    this.#task = new CurrentTask(clock)
    this.#healer = new Healer({
      worker,
      clock,
      policy: this.#policy,
      ward: this.#ward,
      task: this.#task,
      onEvent: this.#onEvent,
      fence: this.#care.fence,
    })
    this.#ward.tell({ type: desired === 'stopped' ? 'unwatched' : 'watched' })
  }

  /** What is decided from now on is decided by this policy; what was found out about the worker holds. */
  reconfigure(policy: HealthPolicy): void {
    Object.assign(this.#policy, policyFor(this.#worker, policy, this.#isReachedByAll))
    this.#pace.reconfigured(this.#now())
    this.#wake()
  }

  get health(): Health {
    return this.#health
  }

  get nextAction(): NextAction | undefined {
    return this.describe().nextAction
  }

  describe(): MonitorView {
    return viewOf({
      health: this.#health,
      damping: this.#damping,
      chronicle: this.#chronicle,
      healing: this.#planHealing(),
      nextProbeAt: this.#desired === 'stopped' ? undefined : this.#pace.nextAt,
      policy: this.#policy,
      clock: this.#clock,
    })
  }

  /** Watches until `signal` aborts, then resolves, leaving no timer. To be called once. */
  async run(signal: AbortSignal): Promise<void> {
    using _ = this.#ward.onRelease((release) => {
      if (release === 'uplink-cleared' && !isFaultless(this.#health)) this.probeNow()
      this.#wake()
    })
    using _care = this.#attend()
    await Promise.all([this.#watch(signal), this.#watchPulse(signal)])
  }

  /** A live request succeeded through the worker. */
  outcomePassed(target?: Target): void {
    this.#pace.succeeded(this.#now())
    this.#care.proven(this.#now())
    this.#outcomes.passed(target)
    // No probe is due while live traffic shows the same: then it is traffic that shows that the uplink is there.
    if (this.#ward.isUplinkSuspect) this.#ward.tell({ type: 'passed' })
    this.#feed('outcome-passed', 'a live request succeeded')
  }

  /** A live request failed, and it may be the worker's fault; failures that are the target's for certain are not told here. */
  outcomeFailed(reason: string, target?: Target): void {
    this.#pace.failed()
    if (this.#outcomes.failed(target)) this.#feed('outcomes-failed', reason)
  }

  /** A live request hangs. A healthy worker is probed for it at once, though not again and again. */
  suspectedByStall(reason: string): void {
    if (!this.#mayProbeForIt()) return
    this.#onEvent({ type: 'stall-reported', reason })
    this.probeNow()
  }

  /** The worker is gone, for certain. */
  lost(reason: string): void {
    this.#ward.tell({ type: 'withdrawn' })
    this.#healer.setHung(undefined)
    this.#care.lost()
    this.#feed('lost', reason)
  }

  /** The bootstrap moved on. At 100 percent, call `probeNow` too. */
  progressed(): void {
    this.#feed('progressed', 'the bootstrap moved on')
  }

  /** Probes as soon as nothing else is being done, rather than at the next interval. */
  probeNow(): void {
    this.#pace.now(this.#now())
    this.#wake()
  }

  /** Follows the operator's wish. A stopped worker is neither probed nor healed; afterwards it starts from nothing known. */
  setDesired(desired: DesiredState): void {
    const startsOrStops = (desired === 'stopped') !== (this.#desired === 'stopped')
    this.#desired = desired
    if (!startsOrStops) return
    this.#ward.tell({ type: desired === 'stopped' ? 'unwatched' : 'watched' })
    this.reset(desired === 'stopped' ? 'stopped by the operator' : 'started by the operator')
  }

  /** The operator (re)starts Tor: ends a recovery that is going on, and everything is to be shown anew. */
  reset(reason: string): void {
    this.#ward.tell({ type: 'withdrawn' })
    this.#outcomes.forget()
    this.#feed('reset', reason)
    this.probeNow()
  }

  /** The operator says that it is well, whatever was seen. A stopped worker is to be started first, by `setDesired`. */
  forceHealthy(reason: string): void {
    this.#feed('enabled', reason)
  }

  #feed(event: HealthEvent, reason: string): void {
    const before = this.#health
    const now = this.#now()
    const stepped = stepUnlessStopped(this.#desired, before, event, now, this.#policy)
    const { health, damping } = dampen(this.#damping, { before, event, after: stepped.health }, now, this.#policy)
    const isHeldDown = damping.hold !== undefined && this.#damping.hold === undefined
    this.#damping = damping
    if (health === before) return
    this.#health = health
    this.#action = stepped.action
    if (OUTDATING.has(event)) this.#task.drop()
    this.#wake()
    this.#care.turned(before, health)
    if (health.status === before.status) return
    if (health.status !== 'dead' && health.status !== 'recovery') this.#healer.setHung(undefined)
    const why = health === stepped.health ? reason : `${reason}, but it is held down: its health wavered`
    this.#onEvent({ type: 'health-changed', from: before.status, to: health.status, reason: why })
    if (isHeldDown) this.#onEvent({ type: 'held-down', until: wallTime(damping.hold?.until ?? now, this.#clock) })
  }

  async #watch(signal: AbortSignal): Promise<void> {
    while (!signal.aborted) await this.#turn(signal)
  }

  /** Does the one thing that is to be done now, or waits until there is one. */
  async #turn(signal: AbortSignal): Promise<void> {
    if (this.#desired === 'stopped') return await this.#waitUntil(Number.POSITIVE_INFINITY, signal)
    if (this.#action !== undefined) return await this.#perform(signal)

    const healing = this.#planHealing()
    // After planning: what the plan calls now must not lie in the future here.
    const now = this.#now()
    const healingAt = healing?.at ?? Number.POSITIVE_INFINITY
    this.#healer.tellHeld(healing)
    if (healingAt <= now) {
      this.#feed('due', 'recovery begins')
      // In the same breath, so that no other worker is permitted the same in between.
      return await this.#perform(signal)
    }
    const probeAt = isProbed(this.#health) ? this.#pace.nextAt : Number.POSITIVE_INFINITY
    if (probeAt <= now) return await this.#probe(healingAt - now, signal)
    await this.#waitUntil(Math.min(healingAt, probeAt), signal)
  }

  async #perform(signal: AbortSignal): Promise<void> {
    const action = this.#action
    this.#action = undefined
    switch (action?.type) {
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
    const startedAt = this.#now()
    const isDispensable = () => this.#pace.putOff(startedAt) || this.#care.putOff(this.#pace, startedAt)
    if (isFaultless(this.#health) && isDispensable()) return
    const isRegular = this.#pace.begin(startedAt)
    const fence = this.#care.fence?.()

    const { probeTimeoutMs } = this.#policy
    const isExtra = this.#health.status === 'suspect' && !isRegular
    const illMs = this.#policy.illCheckEveryMs ?? probeTimeoutMs
    const extraMs = isExtra ? Math.min(illMs, this.#pace.regularAt - startedAt) : probeTimeoutMs
    const limitMs = Math.min(probeTimeoutMs, mostMs, isDown(this.#health) ? illMs : extraMs)
    const probe = await this.#task.run(limitMs, (limit) => this.#worker.probe(limit), signal)
    if (probe === undefined) return
    const found: ProbeResult = 'error' in probe ? { verdict: 'failed', reason: probe.error } : probe.value
    const result = judge(found, isNews(this.#health, this.#now(), this.#policy), this.#ward)
    this.#onEvent({ type: 'probe-ended', ms: this.#now() - startedAt, ...result })
    if (result.verdict === 'passed') {
      this.#care.proven(startedAt)
      this.#feed('probe-passed', 'a probe passed')
    }
    if (result.verdict !== 'failed') return
    this.#care.foundIll(fence)
    if (!isExtra) this.#feed('probe-failed', result.reason)
    this.#pace.hasten(this.#health.status === 'healthy' ? 'confirm' : 'ill')
  }

  async #watchPulse(signal: AbortSignal): Promise<void> {
    const { pulse } = this.#worker
    if (pulse === undefined) return
    const options = {
      clock: this.#clock,
      policy: this.#policy,
      pulse: (s: AbortSignal) => pulse.call(this.#worker, s),
      isExpected: () => this.#desired !== 'stopped' && isUp(this.#health),
      onPass: () => this.#ward.tell({ type: 'pulse-passed' }),
      onFailure: (reason: string, inARow: number) => this.#pulseFailed(reason, inARow),
    }
    await watchPulse(options, signal)
  }

  #pulseFailed(reason: string, inARow: number): void {
    const why = `it does not answer: ${reason}`
    this.#onEvent({ type: 'pulse-failed', reason, inARow })
    this.#ward.tell({ type: 'pulse-failed', since: this.#now() - this.#policy.pulseTimeoutMs })
    if (this.#ward.doesMachineHang) return
    const isLost = inARow >= this.#policy.pulseFailsToLost
    if (isLost) this.#healer.setHung(this.#now())
    if (isLost) this.#care.foundIll(this.#care.fence?.())
    this.#feed(isLost ? 'lost' : 'pulse-failed', why)
  }

  async #recover(attempt: number, signal: AbortSignal): Promise<void> {
    const result = await this.#healer.recover(attempt, signal)
    if (result?.ok) {
      this.#care.proven(this.#now())
      this.#feed('recovery-passed', `recovery attempt ${attempt} passed`)
    }
    if (result?.ok === false) {
      this.#feed('recovery-failed', `recovery attempt ${attempt} failed`)
      this.#pace.hasten('ill')
    }
  }

  async #reboot(signal: AbortSignal): Promise<void> {
    if ((await this.#healer.reboot(signal)) !== 'refused') return
    this.#feed('reboot-refused', 'its host cannot be told to reboot')
    this.#pace.hasten('ill')
  }

  #attend(): Disposable {
    const health = () => this.#health
    const isStopped = () => this.#desired === 'stopped'
    const policy = this.#policy
    return this.#care.attend({
      get health() {
        return health()
      },
      get isStopped() {
        return isStopped()
      },
      get rebootWaitMs() {
        return policy.rebootWaitMs
      },
      endHealing: () => this.#endHealing(),
      takeOver: () => {
        this.#pace.reconfigured(this.#now())
        if (isDown(this.#health)) this.probeNow()
      },
      doubt: (reason) => {
        if (!this.#mayProbeForIt()) return
        this.#onEvent({ type: 'doubted-elsewhere', reason })
        this.probeNow()
      },
      probeNow: () => this.probeNow(),
      probeSoon: () => void (this.#mayProbeForIt() && this.probeNow()),
    })
  }

  /** What is done to it ends, and it is looked at again: another gateway goes on with it. */
  #endHealing(): void {
    if (this.#health.status !== 'recovery' || this.#health.phase === 'waiting') return
    const { phase } = this.#health
    this.#task.drop()
    this.#feed(phase === 'attempting' ? 'recovery-failed' : 'reboot-refused', 'it is another gateway’s to heal now')
    this.#pace.hasten('ill')
  }

  /** Whether what is said of a worker that seems healthy is reason for a probe: not again and again. */
  #mayProbeForIt(): boolean {
    const isRecent = this.#now() - this.#pace.probedAt < this.#policy.stallProbeEveryMs
    return this.#health.status === 'healthy' && this.#desired !== 'stopped' && !isRecent
  }

  #planHealing(): Healing | undefined {
    return this.#desired === 'stopped' ? undefined : this.#healer.plan(this.#health)
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

/** A Tor that others reach was most likely up when this gateway started: one whose bootstrap stands still is not coming up. */
const SHARED_STALL_MS = 20_000

function policyFor(worker: Monitored, policy: HealthPolicy, isReachedByAll: boolean): HealthPolicy {
  return {
    ...policy,
    ...(worker.reboot === undefined && { rebootAfterAttempts: null }),
    ...(isReachedByAll && { startStallMs: Math.min(policy.startStallMs, SHARED_STALL_MS) }),
  }
}

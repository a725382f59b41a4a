import type { Clock } from '../lib/clock.ts'
import type { CurrentTask } from './current-task.ts'
import { type Healing, planHealing } from './healing.ts'
import type { Health } from './machine.ts'
import type { MonitorEvent, Monitored } from './monitored.ts'
import type { HealthPolicy } from './policy.ts'
import type { Ward } from './pool-governor.ts'
import { climb, type RecoveryAttempt, type RecoveryResult, type StepResult } from './recovery.ts'

const REACHED_WITHIN_MS = 10_000

export interface HealerOptions {
  readonly worker: Monitored
  readonly clock: Clock
  readonly policy: HealthPolicy
  readonly ward: Ward
  readonly task: CurrentTask
  readonly onEvent: (event: MonitorEvent) => void
  /** The token of the lease to heal it, for a worker that several gateways reach. */
  readonly fence?: (() => number | undefined) | undefined
}

/** The monitor's hands: brings one worker back, when the governor of the pool permits it, and keeps the governor informed. */
export class Healer {
  readonly #options: HealerOptions
  /** Since when the worker hangs, if that is why it is dead. */
  #hungSince: number | undefined
  /** Where the latest attempt failed. */
  #failedAt: string | undefined
  /** Why healing is held, as last told. */
  #held: Healing['held']

  constructor(options: HealerOptions) {
    this.#options = options
  }

  /** The worker was found to hang, at that time; undefined when something else is the matter. */
  setHung(since: number | undefined): void {
    this.#hungSince = since
  }

  /** What is to be done next, and when. Has no effect. */
  plan(health: Health): Healing | undefined {
    const { policy, ward } = this.#options
    const facts = { isGone: this.#isGone(), hungSince: this.#hungSince }
    return planHealing(health, policy, facts, (request) => ward.ask(request))
  }

  /** Tells once that healing is held, and why. */
  tellHeld(healing: Healing | undefined): void {
    const { onEvent, clock } = this.#options
    const before = this.#held
    const held = healing?.held
    this.#held = held
    if (before?.isQuarantine && !held?.isQuarantine) onEvent({ type: 'quarantine-ended' })
    if (healing === undefined || held === undefined || held.reason === before?.reason || held.isElsewhere) return
    const { type: action, at } = healing
    const until = clock.now() + at - clock.monotonic()
    if (held.isQuarantine) onEvent({ type: 'quarantined', reason: held.reason, until })
    else onEvent({ type: 'healing-held', action, reason: held.reason, until: Number.isFinite(at) ? until : undefined })
  }

  /** Undefined when an event or the end of the watch has made it pointless. */
  async recover(attempt: number, signal: AbortSignal): Promise<RecoveryResult | undefined> {
    const { worker, clock, policy, ward, task, onEvent } = this.#options
    const startedAt = clock.monotonic()
    const lease = this.#lease()
    const order: RecoveryAttempt = {
      number: attempt,
      failedAt: attempt === 1 ? undefined : this.#failedAt,
      isHung: this.#hungSince !== undefined,
      fence: lease.token,
      climb(ladder, end) {
        const stepEnded = (step: StepResult) => onEvent({ type: 'recovery-step-ended', attempt, step })
        return climb(ladder, clock, end, stepEnded, lease.check)
      },
    }
    ward.tell({ type: 'restart-began', attempt, isGone: this.#isGone() })
    onEvent({ type: 'recovery-started', attempt })
    const tried = await task.run(policy.attemptTimeoutMs, (limit) => worker.recover(order, limit), signal)
    ward.tell({ type: 'restart-ended' })
    if (tried === undefined) return undefined

    const ms = clock.monotonic() - startedAt
    const result: RecoveryResult =
      'error' in tried ? { ok: false, steps: [{ name: 'recover', ok: false, ms, error: tried.error }] } : tried.value
    if (result.ok) ward.tell({ type: 'passed' })
    this.#failedAt = result.ok ? undefined : result.steps.at(-1)?.name
    onEvent({ type: 'recovery-ended', attempt, ms, result })
    return result
  }

  /** `refused` when it could not even be ordered, and so counts for nothing. */
  async reboot(signal: AbortSignal): Promise<'refused' | undefined> {
    const { worker, clock, policy, ward, task, onEvent } = this.#options
    const lease = this.#lease()
    const asked = await task.run(REACHED_WITHIN_MS, async (limit) => worker.canReboot?.(limit), signal)
    if (asked === undefined) return undefined
    if ('error' in asked) {
      onEvent({ type: 'reboot-failed', reason: asked.error })
      return 'refused'
    }
    if (!lease.holds()) return 'refused'
    // Counted before it is known whether the order gets through: it may, and only its answer be lost.
    ward.tell({ type: 'reboot-began', until: clock.monotonic() + policy.rebootWaitMs })
    const ordered = await task.run(policy.rebootWaitMs, async (limit) => worker.reboot?.(limit, lease.token), signal)
    if (ordered === undefined) return undefined
    onEvent('error' in ordered ? { type: 'reboot-failed', reason: ordered.error } : { type: 'reboot-ordered' })
    return undefined
  }

  /** The lease that this began under: with another one, or none, it is not to go on. */
  #lease(): { readonly token: number | undefined; holds(): boolean; check(): void } {
    const { fence } = this.#options
    const token = fence?.()
    const holds = () => fence === undefined || (token !== undefined && fence() === token)
    return {
      token,
      holds,
      check() {
        if (!holds()) throw new Error('it is another gateway’s to heal now')
      },
    }
  }

  #isGone(): boolean {
    return this.#options.worker.isGone?.() ?? false
  }
}

import assert from 'node:assert/strict'
import { describe, it } from 'node:test'
import type { DesiredState } from '../domain/worker.ts'
import { type Random, seededRandom } from '../lib/random.ts'
import { dampen, UNDAMPED } from './damping.ts'
import { DEFAULT_GOVERNOR_POLICY, type GovernorEvent, govern, permit, UNGOVERNED } from './governor.ts'
import { planHealing } from './healing.ts'
import {
  HEALTH_EVENTS,
  type Health,
  type HealthEvent,
  isNews,
  isProbed,
  starting,
  step,
  stepUnlessStopped,
} from './machine.ts'
import { DEFAULT_POLICY } from './policy.ts'

const HOUR = 3_600_000

describe('The decisions about a pool', { timeout: 120_000 }, () => {
  it('keep their invariants through 100000 random histories', () => {
    const seen = { restarts: 0, reboots: 0, uplinks: 0, holds: 0, held: 0 }
    for (let seed = 0; seed < 100_000; seed++) new History(seed, seen).live(24)
    assert.ok(seen.restarts > 10_000 && seen.uplinks > 10_000 && seen.held > 1_000, JSON.stringify(seen))
  })

  it('keep them through long ones', () => {
    const seen = { restarts: 0, reboots: 0, uplinks: 0, holds: 0, held: 0 }
    for (let seed = 0; seed < 1_000; seed++) new History(seed, seen).live(2_000)
    assert.ok(seen.reboots > 1_000 && seen.holds > 10 && seen.restarts > 10_000, JSON.stringify(seen))
  })
})

interface Subject {
  readonly id: string
  desired: DesiredState
  health: Health
  damping: typeof UNDAMPED
  isGone: boolean
  /** Its process was there when its present recovery attempt began. */
  isRationed: boolean
  /** What has been done, to hold against the invariants. */
  failedAttempts: number
  failedAt: number
  reboots: number[]
  rebootingUntil: number
}

/** One life of four workers: anything happens to them, and what is decided is checked. */
class History {
  readonly #random: Random
  readonly #seed: number
  readonly #seen: { restarts: number; reboots: number; uplinks: number; holds: number; held: number }
  readonly #subjects: readonly Subject[]
  #state = UNGOVERNED
  #now = 0
  #hasUplink = true
  #firstRestarts = 0

  constructor(seed: number, seen: { restarts: number; reboots: number; uplinks: number; holds: number; held: number }) {
    this.#seed = seed
    this.#seen = seen
    this.#random = seededRandom(seed)
    this.#subjects = ['A', 'B', 'C', 'D'].map((id) => ({
      id,
      desired: 'enabled',
      health: this.#pick([starting(0), { status: 'healthy', fails: 0 }, { status: 'suspect', fails: 2 }]),
      damping: UNDAMPED,
      isGone: false,
      isRationed: false,
      failedAttempts: 0,
      failedAt: Number.NEGATIVE_INFINITY,
      reboots: [],
      rebootingUntil: Number.NEGATIVE_INFINITY,
    }))
    for (const { id } of this.#subjects) this.#tell({ worker: id, type: 'watched' })
  }

  live(events: number): void {
    for (let i = 0; i < events; i++) {
      this.#now += this.#pick([0, 500, 1_000, 5_000, 10_000, 40_000, 400_000])
      if (this.#random.float() < 0.03) this.#hasUplink = !this.#hasUplink
      const subject = this.#pick(this.#subjects)
      this.#befall(subject, this.#random.float() < 0.8 ? this.#likely(subject) : this.#pick(HEALTH_EVENTS))
      this.#heal(subject)
    }
    for (const subject of this.#subjects) this.#assertMends(subject)
  }

  #likely({ health }: Subject): HealthEvent {
    if (health.status === 'recovery' && health.phase === 'attempting') {
      return this.#random.float() < 0.8 ? 'recovery-failed' : 'recovery-passed'
    }
    return !this.#hasUplink || this.#random.float() < 0.7 ? 'probe-failed' : 'probe-passed'
  }

  /** What the monitor does with an event. */
  #befall(subject: Subject, event: HealthEvent): void {
    const { id, health } = subject
    if (event === 'due') return
    if (this.#random.float() < 0.01) {
      const was = subject.desired
      subject.desired = this.#pick(['enabled', 'drained', 'stopped'])
      if ((was === 'stopped') !== (subject.desired === 'stopped')) {
        this.#tell({ worker: id, type: subject.desired === 'stopped' ? 'unwatched' : 'watched' })
        this.#feed(subject, 'reset')
      }
    }
    if (event === 'lost') {
      subject.isGone = this.#random.float() < 0.5
      this.#tell({ worker: id, type: subject.isGone ? 'withdrawn' : 'failed' })
    }
    if (event === 'reset') this.#tell({ worker: id, type: 'withdrawn' })
    if (event === 'probe-passed' && subject.desired !== 'stopped') this.#tell({ worker: id, type: 'passed' })
    if (event === 'probe-failed' && subject.desired !== 'stopped') {
      if (isNews(health, this.#now, DEFAULT_POLICY)) this.#tell({ worker: id, type: 'failed' })
      if (this.#state.uplinkSuspectSince !== undefined) return
    }
    this.#feed(subject, event)
  }

  #feed(subject: Subject, event: HealthEvent): void {
    const { desired, health: before } = subject
    const stepped = stepUnlessStopped(desired, before, event, this.#now, DEFAULT_POLICY)
    const next = dampen(subject.damping, { before, event, after: stepped.health }, this.#now, DEFAULT_POLICY)
    if (next.damping.hold !== undefined && subject.damping.hold === undefined) this.#seen.holds++
    subject.health = next.health
    subject.damping = next.damping

    const wasAttempting = before.status === 'recovery' && before.phase === 'attempting'
    if (wasAttempting && next.health !== before) {
      this.#tell({ worker: subject.id, type: 'restart-ended' })
      if (event === 'recovery-passed') subject.isGone = false
      if (event === 'recovery-failed') {
        subject.failedAttempts += 1
        subject.failedAt = this.#now
      }
    }
    if (next.health.status === 'dead' || next.health.status === 'healthy') subject.failedAttempts = 0
    if (desired === 'stopped') assert.equal(stepped.action, undefined, this.#where('acts on a stopped worker'))
  }

  /** What the monitor does when nothing happens: the next step of healing, if it is due and permitted. */
  #heal(subject: Subject): void {
    const { id, health, isGone } = subject
    if (subject.desired === 'stopped') return
    const healing = planHealing(health, DEFAULT_POLICY, { isGone, hungSince: undefined }, (request) =>
      permit(this.#state, { ...request, worker: id }, this.#now, DEFAULT_GOVERNOR_POLICY),
    )
    if (healing?.held) this.#seen.held++
    if (healing === undefined || healing.at > this.#now) return
    const { health: next, action } = step(health, 'due', this.#now, DEFAULT_POLICY)
    subject.health = next
    if (action?.type === 'recover') this.#assertRestart(subject, action.attempt)
    else if (action?.type === 'reboot') this.#assertReboot(subject)
    else assert.fail(this.#where('is due, and does nothing'))
  }

  #assertRestart(subject: Subject, attempt: number): void {
    const { isGone, failedAttempts, failedAt, id } = subject
    this.#seen.restarts++
    subject.isRationed = !isGone
    if (!isGone) {
      assert.equal(this.#state.uplinkSuspectSince, undefined, this.#where('restarts while the uplink is suspect'))
      const { attempting, rebooting } = this.#inHealing()
      assert.ok(attempting + rebooting <= 2, this.#where(`heals ${attempting + rebooting} of 4 at once`))
    }
    if (attempt === 1) this.#firstRestarts++
    const budget = 20 + this.#now / 15_000
    assert.ok(this.#firstRestarts <= budget, this.#where(`restarts after ${this.#firstRestarts} deaths`))
    if (attempt > 1) {
      assert.equal(attempt, failedAttempts + 1, this.#where('counts wrongly'))
      const backoff = DEFAULT_POLICY.backoffMs[failedAttempts - 1] ?? 32_000
      assert.ok(this.#now - failedAt >= backoff, this.#where('does not wait for its backoff'))
    }
    this.#tell({ worker: id, type: 'restart-began', attempt, isGone })
  }

  #assertReboot(subject: Subject): void {
    const { reboots, failedAttempts, id } = subject
    this.#seen.reboots++
    assert.equal(this.#state.uplinkSuspectSince, undefined, this.#where('reboots while the uplink is suspect'))
    assert.equal(failedAttempts, 6, this.#where('reboots too early'))
    assert.ok(this.#now - (reboots.at(-1) ?? Number.NEGATIVE_INFINITY) >= HOUR, this.#where('reboots twice an hour'))
    assert.ok(this.#now - (reboots.at(-3) ?? Number.NEGATIVE_INFINITY) >= 24 * HOUR, this.#where('reboots four times'))
    const others = this.#subjects.filter((other) => other !== subject && this.#now < other.rebootingUntil)
    assert.equal(others.length, 0, this.#where('reboots while another does'))
    reboots.push(this.#now)
    subject.failedAttempts = 0
    subject.rebootingUntil = this.#now + DEFAULT_POLICY.rebootWaitMs
    this.#tell({ worker: id, type: 'reboot-began', until: subject.rebootingUntil })
  }

  /** Of those that may still carry traffic. */
  #inHealing(): { attempting: number; rebooting: number } {
    const attempting = this.#subjects.filter(
      ({ health, isRationed }) => health.status === 'recovery' && health.phase === 'attempting' && isRationed,
    )
    const rebooting = this.#subjects.filter((each) => this.#now < each.rebootingUntil && !attempting.includes(each))
    return { attempting: attempting.length, rebooting: rebooting.length }
  }

  /** Whatever was decided about it, it is healthy again with a clean slate once it passes everything for two hours. */
  #assertMends(subject: Subject): void {
    let { health, damping } = subject
    for (let now = this.#now; now < this.#now + 2 * HOUR; now += 60_000) {
      if (health.status === 'healthy' && health.fails === 0 && damping.hold === undefined) break
      for (const event of ['due', isProbed(health) ? 'probe-passed' : 'recovery-passed'] as const) {
        const next = step(health, event, now, DEFAULT_POLICY)
        const damped = dampen(damping, { before: health, event, after: next.health }, now, DEFAULT_POLICY)
        health = damped.health
        damping = damped.damping
      }
    }
    assert.deepEqual(health, { status: 'healthy', fails: 0 }, this.#where('does not mend'))
    assert.equal(damping.hold, undefined, this.#where('is held down for ever'))
  }

  #tell(event: GovernorEvent): void {
    const before = this.#state.uplinkSuspectSince
    this.#state = govern(this.#state, event, this.#now, DEFAULT_GOVERNOR_POLICY)
    if (before === undefined && this.#state.uplinkSuspectSince !== undefined) this.#seen.uplinks++
  }

  #pick<T>(items: readonly T[]): T {
    return items[this.#random.int(items.length)]!
  }

  #where(what: string): string {
    return `seed ${this.#seed} at ${this.#now} ms: ${what}`
  }
}

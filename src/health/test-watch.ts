import assert from 'node:assert/strict'
import { FakeClock } from '../lib/fake-clock.ts'
import { seededRandom } from '../lib/random.ts'
import { Monitor, type MonitorOptions } from './monitor.ts'
import type { MonitorEvent, Monitored, ProbeResult } from './monitored.ts'
import { DEFAULT_POLICY, type HealthPolicy } from './policy.ts'
import type { RecoveryResult } from './recovery.ts'

export const PASSED: ProbeResult = { verdict: 'passed' }
export const FAILED: ProbeResult = { verdict: 'failed', reason: 'no circuit' }
export const RECOVERED: RecoveryResult = { ok: true, steps: [] }

/** The original's: nothing is confirmed faster than at the regular interval. */
export const ORIGINAL_PACE: HealthPolicy = {
  ...DEFAULT_POLICY,
  checkJitter: 0,
  firstCheckJitter: 0,
  recheckEveryMs: null,
  illCheckEveryMs: null,
}

/**
 * A monitor that watches over a worker which passes everything but for what `first` says, and until told otherwise.
 * Disposing ends the watch and checks that no timer is left.
 */
export function watch(options: Partial<MonitorOptions> & { clock?: FakeClock } = {}, first: Partial<Monitored> = {}) {
  const clock = options.clock ?? new FakeClock(0)
  const worker: Monitored = { probe: async () => PASSED, recover: async () => RECOVERED, ...first }
  const events: MonitorEvent[] = []
  const story: string[] = []
  let origin = 0
  const monitor = new Monitor(worker, {
    clock,
    random: seededRandom(1),
    policy: ORIGINAL_PACE,
    ...options,
    onEvent(event) {
      events.push(event)
      story.push(`${(clock.now() - origin) / 1_000}s ${inWords(event)}`)
    },
  })
  const controller = new AbortController()
  const running = monitor.run(controller.signal)
  return {
    clock,
    worker,
    monitor,
    events,
    /** What happened, in words and seconds since the start of the story. */
    story,
    startStory(at = clock.now()) {
      origin = at
      story.length = 0
    },
    async [Symbol.asyncDispose]() {
      controller.abort(new Error('the test is over'))
      await running
      assert.equal(clock.pending, 0, 'a timer is left')
    },
  }
}

function inWords(event: MonitorEvent): string {
  switch (event.type) {
    case 'health-changed':
      return `${event.from} > ${event.to}`
    case 'probe-ended':
      return `probe ${event.verdict}`
    case 'recovery-started':
      return `recovery ${event.attempt} started`
    case 'recovery-ended':
      return `recovery ${event.attempt} ${event.result.ok ? 'passed' : `failed at ${event.result.steps.at(-1)?.name}`}`
    case 'recovery-step-ended':
      return `${event.step.name} ${event.step.skipped ? 'skipped' : event.step.ok ? 'passed' : 'failed'}`
    case 'reboot-ordered':
      return 'reboot ordered'
    case 'reboot-failed':
      return 'reboot failed'
    case 'pulse-failed':
      return `pulse failed ${event.inARow}`
    case 'doubted-elsewhere':
      return `doubted elsewhere: ${event.reason}`
    case 'stall-reported':
      return 'stall reported'
    case 'healing-held':
      return `${event.action} held: ${event.reason}`
    case 'quarantined':
      return `quarantined: ${event.reason}`
    case 'quarantine-ended':
      return 'quarantine ended'
    case 'held-down':
      return 'held down'
  }
}

export function hang(): Promise<never> {
  return new Promise(() => {})
}

import assert from 'node:assert/strict'
import { describe, it } from 'node:test'
import fc from 'fast-check'
import type { DesiredState } from '../domain/worker.ts'
import { type Random, seededRandom } from '../lib/random.ts'
import {
  HEALTH_EVENTS,
  type Health,
  type HealthAction,
  type HealthEvent,
  isProbed,
  starting,
  step,
  stepUnlessStopped,
  upcoming,
} from './machine.ts'
import { DEFAULT_POLICY } from './policy.ts'

const HEALTHY: Health = { status: 'healthy', fails: 0 }

/** One of each kind, none of it due before the time 1000. */
const STATES: readonly Health[] = [
  { status: 'starting', progressedAt: 0 },
  HEALTHY,
  { status: 'healthy', fails: 2 },
  { status: 'suspect', fails: 0 },
  { status: 'suspect', fails: 2 },
  { status: 'dead', since: 1_000 },
  { status: 'recovery', phase: 'attempting', attempt: 3 },
  { status: 'recovery', phase: 'waiting', failed: 3, until: 1_000 },
  { status: 'recovery', phase: 'waiting', failed: 6, until: 1_000 },
  { status: 'recovery', phase: 'rebooting', until: 1_000 },
]

describe('step()', () => {
  it('follows the combined recovery timeline of the original', () => {
    // A probe that hangs fails after a whole interval, so the failure detected at 0 s is certain at 10 s. The original's
    // own words stand on the right.
    assertTranscript(
      HEALTHY,
      `
      10s  probe-failed    > healthy                    | 0s Host detects failure, 10s Host retries
      20s  probe-failed    > healthy                    | 20s Host retries
      30s  probe-failed    > suspect                    | 30s Worker marked SUSPECT
      40s  probe-failed    > suspect                    | 40s Host retries
      50s  probe-failed    > suspect                    | 50s Host retries
      60s  probe-failed    > dead                       | 60s Worker marked DEAD
      60s  due             > recovery, recover 1        | recovery starts: 61s SSH, SOCKS, 62s Restart Tor, 92s Verify
      92s  recovery-failed > recovery                   | If fail, Wait 1s (backoff[0])
      93s  due             > recovery, recover 2        | 93s Host retry
      125s recovery-failed > recovery                   | If fail, Wait 2s (backoff[1])
      126s due             > recovery
      127s due             > recovery, recover 3        | ...
      159s recovery-failed > recovery
      163s due             > recovery, recover 4
      195s recovery-failed > recovery
      203s due             > recovery, recover 5
      235s recovery-failed > recovery
      251s due             > recovery, recover 6
      283s recovery-failed > recovery                   | After 6 failed attempts
      315s due             > recovery, reboot           | Host reboots worker
      404s due             > recovery
      405s due             > recovery, recover 1        | Wait 90s for reboot, Try again
      437s recovery-passed > healthy                    | If success, HEALTHY`,
    )
  })

  it('forgives failures that are not in a row', () => {
    assertTranscript(
      HEALTHY,
      `
      0s  probe-failed > healthy
      10s probe-failed > healthy
      20s probe-passed > healthy
      30s probe-failed > healthy
      40s probe-failed > healthy
      50s probe-failed > suspect
      60s probe-failed > suspect
      70s probe-failed > suspect
      80s probe-passed > healthy
      90s probe-failed > healthy`,
    )
  })

  it('starts recovery at once from a definitive fact', () => {
    assertTranscript(
      HEALTHY,
      `
      5s lost            > dead
      5s due             > recovery, recover 1
      5s lost            > recovery
      6s recovery-passed > healthy`,
    )
  })

  it('lets live failures make a worker suspect and asks for a probe, but only probes make it dead', () => {
    assertTranscript(
      HEALTHY,
      `
      1s outcomes-failed > suspect, probe
      1s outcomes-failed > suspect
      1s outcomes-failed > suspect
      1s outcomes-failed > suspect
      2s probe-failed    > suspect
      3s outcome-passed  > healthy`,
    )
  })

  it('takes a pulse that fails for a reason to look, and no more', () => {
    assertTranscript(
      HEALTHY,
      `
      1s pulse-failed > suspect, probe
      1s pulse-failed > suspect
      1s probe-passed > healthy
      2s pulse-failed > suspect, probe
      3s lost         > dead`,
    )
  })

  it('is not fooled by a late answer of a worker that went down', () => {
    assertTranscript(
      HEALTHY,
      `
      1s lost            > dead
      1s outcome-passed  > dead
      1s due             > recovery, recover 1
      2s outcome-passed  > recovery
      2s probe-passed    > recovery
      3s recovery-failed > recovery
      3s outcome-passed  > recovery
      4s probe-passed    > healthy`,
    )
  })

  it('is patient with a slow bootstrap and not with one that is stuck', () => {
    assertTranscript(
      starting(0),
      `
      10s  probe-failed > starting
      50s  progressed   > starting
      100s probe-failed > starting
      109s probe-failed > starting
      110s probe-failed > dead`,
    )
  })

  it('keeps trying at the longest wait when there is no host to reboot', () => {
    const policy = { ...DEFAULT_POLICY, rebootAfterAttempts: null }
    let health: Health = { status: 'recovery', phase: 'attempting', attempt: 1 }
    const waits: number[] = []
    for (let i = 0; i < 9; i++) {
      health = step(health, 'recovery-failed', 0, policy).health
      const next = upcoming(health, policy)
      assert.equal(next?.type, 'recover')
      waits.push(next?.at ?? 0)
      health = step(health, 'due', next?.at ?? 0, policy).health
    }
    assert.deepEqual(waits, [1_000, 2_000, 4_000, 8_000, 16_000, 32_000, 32_000, 32_000, 32_000])
  })

  it('has an answer to every event in every state', () => {
    for (const health of STATES) {
      for (const event of HEALTH_EVENTS) {
        const next = step(health, event, 500, DEFAULT_POLICY)
        assert.equal(typeof next.health.status, 'string', `${health.status} ${event}`)
        if (next.action)
          assert.notEqual(next.health, health, `${health.status} ${event} acts without a change of state`)
      }
    }
  })

  it('is healthy from every state when the operator says so, and starts anew when he resets it', () => {
    for (const health of STATES) {
      assert.deepEqual(step(health, 'enabled', 500, DEFAULT_POLICY), { health: HEALTHY })
      assert.deepEqual(step(health, 'reset', 500, DEFAULT_POLICY), { health: starting(500) })
    }
  })

  it('leads from every state to healthy once the worker passes what it is asked', () => {
    for (const state of STATES) {
      let health = state
      for (let now = 1_000, turn = 0; health.status !== 'healthy' || health.fails > 0; now += 1_000, turn++) {
        assert.ok(turn < 200, `${state.status} stays ${JSON.stringify(health)}`)
        health = step(health, 'due', now, DEFAULT_POLICY).health
        health = step(health, isProbed(health) ? 'probe-passed' : 'recovery-passed', now, DEFAULT_POLICY).health
      }
    }
  })

  it('returns the same object when nothing changed', () => {
    fc.assert(
      fc.property(
        fc.constantFrom(...STATES),
        fc.constantFrom(...HEALTH_EVENTS),
        fc.nat(90_000),
        (health, event, now) => {
          const next = step(health, event, now, DEFAULT_POLICY).health
          const isSame = JSON.stringify(next) === JSON.stringify(health)
          if (isSame && event !== 'reset' && event !== 'progressed') assert.equal(next, health)
        },
      ),
    )
  })
})

describe('stepUnlessStopped()', () => {
  it('leaves a stopped worker alone whatever is seen of it', () => {
    for (const health of STATES) {
      for (const event of HEALTH_EVENTS.filter((event) => event !== 'reset')) {
        assert.deepEqual(stepUnlessStopped('stopped', health, event, 99_000, DEFAULT_POLICY), { health })
      }
    }
  })

  it('keeps its invariants through 50000 random histories', () => {
    let reboots = 0
    for (let seed = 0; seed < 50_000; seed++) reboots += assertInvariants(seededRandom(seed), seed)
    assert.ok(reboots > 500, `only ${reboots} reboots: the histories do not go deep enough to show anything`)
  })
})

/** Lives through one history of events that come in and out of place, and checks every action. Returns the reboots. */
function assertInvariants(random: Random, seed: number): number {
  let reboots = 0
  let health = starting(0)
  let desired: DesiredState = 'enabled'
  let failedAttempts = 0
  let lastFailureAt = Number.NEGATIVE_INFINITY
  let probesFailed = 0
  for (let now = 0, i = 0; i < 80; i++) {
    // Mostly what a broken worker brings, so that the deep states are reached; now and then anything.
    const event = pick(random, random.float() < 0.85 ? LIKELY : HEALTH_EVENTS)
    if (random.float() < 0.02) desired = pick(random, ['enabled', 'drained', 'stopped'])
    now += pick(random, [0, 500, 1_000, 5_000, 40_000, 90_000])
    const where = `seed ${seed}, event ${i} ${event}`

    const before = health
    const next = stepUnlessStopped(desired, before, event, now, DEFAULT_POLICY)
    health = next.health

    if (desired === 'stopped') assert.equal(next.action, undefined, where)
    if (before.status === 'recovery' && before.phase === 'attempting' && health !== before) {
      if (event === 'recovery-failed') {
        failedAttempts += 1
        lastFailureAt = now
      }
    }
    probesFailed = health === before ? probesFailed : event === 'probe-failed' ? probesFailed + 1 : 0
    if (before.status === 'suspect' && health.status === 'dead' && event !== 'lost') {
      assert.ok(probesFailed >= DEFAULT_POLICY.failsToDead, `${where}: dead after ${probesFailed} failed probes`)
    }
    if (next.action?.type === 'recover') {
      assert.deepEqual(health, { status: 'recovery', phase: 'attempting', attempt: next.action.attempt }, where)
      if (before.status === 'dead') failedAttempts = 0
      assert.equal(next.action.attempt, failedAttempts + 1, where)
      const backoff = failedAttempts === 0 ? 0 : DEFAULT_POLICY.backoffMs[failedAttempts - 1]!
      if (failedAttempts > 0) assert.ok(now - lastFailureAt >= backoff, `${where}: ${now - lastFailureAt} < ${backoff}`)
    }
    if (next.action?.type === 'reboot') {
      assert.equal(failedAttempts, 6, where)
      failedAttempts = 0
      reboots += 1
    }
    if (before.status === 'recovery' && before.phase === 'rebooting' && next.action) {
      assert.ok(now >= before.until, where)
    }
    if (health.status === 'suspect') assert.ok(health.fails < DEFAULT_POLICY.failsToDead, where)
    if (health.status === 'healthy') assert.ok(health.fails < DEFAULT_POLICY.failsToSuspect, where)
  }
  return reboots
}

const LIKELY: readonly HealthEvent[] = ['probe-failed', 'due', 'due', 'recovery-failed', 'outcomes-failed']

function pick<T>(random: Random, items: readonly T[]): T {
  return items[random.int(items.length)]!
}

/** Replays the left half of each `<time> <event> > <outcome> | <remark>` line and checks the outcome. */
function assertTranscript(from: Health, transcript: string): void {
  const expected = transcript
    .trim()
    .split('\n')
    .map((line) => line.replace(/\|.*/, '').trim().replace(/\s+/g, ' '))
  let health = from
  const actual = expected.map((line) => {
    const [time = '', event = ''] = line.split(' ')
    assert.ok(HEALTH_EVENTS.includes(event as HealthEvent), line)
    const next = step(health, event as HealthEvent, Number.parseInt(time, 10) * 1_000, DEFAULT_POLICY)
    health = next.health
    return `${time} ${event} > ${health.status}${inWords(next.action)}`
  })
  assert.deepEqual(actual, expected)
}

function inWords(action: HealthAction | undefined): string {
  if (action === undefined) return ''
  return action.type === 'recover' ? `, recover ${action.attempt}` : `, ${action.type}`
}

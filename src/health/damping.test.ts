import assert from 'node:assert/strict'
import { describe, it } from 'node:test'
import fc from 'fast-check'
import { dampen, UNDAMPED } from './damping.ts'
import { HEALTH_EVENTS, type Health, type HealthEvent, step } from './machine.ts'
import { DEFAULT_POLICY } from './policy.ts'

const MINUTE = 60_000
/** One failed probe makes suspect, to keep the stories short. */
const POLICY = { ...DEFAULT_POLICY, failsToSuspect: 1 }

describe('dampen()', () => {
  it('holds down a worker that fell three times in ten minutes until it is steady', () => {
    assertTranscript(`
      0m  probe-failed > suspect
      1m  probe-passed > healthy
      2m  probe-failed > suspect
      3m  probe-passed > healthy
      9m  probe-failed > suspect, held until 14m
      10m probe-passed > suspect, held until 14m
      13m probe-passed > suspect, held until 14m
      14m probe-passed > healthy`)
  })

  it('does not mind falls that are further apart', () => {
    assertTranscript(`
      0m  probe-failed > suspect
      1m  probe-passed > healthy
      5m  probe-failed > suspect
      6m  probe-passed > healthy
      10m probe-failed > suspect
      11m probe-passed > healthy`)
  })

  it('wants three passed probes in a row, of which live successes are none', () => {
    assertTranscript(`
      0m probe-failed    > suspect
      0m probe-passed    > healthy
      0m outcomes-failed > suspect
      0m outcome-passed  > healthy
      0m probe-failed    > suspect, held until 5m
      6m probe-passed    > suspect, held until 5m
      6m outcome-passed  > suspect, held until 5m
      7m probe-passed    > suspect, held until 5m
      7m probe-failed    > suspect, held until 5m
      8m probe-passed    > suspect, held until 5m
      8m probe-passed    > suspect, held until 5m
      8m probe-passed    > healthy`)
  })

  it('holds it down twice as long each further time, and forgets after ten steady minutes', () => {
    const spell = (at: number) =>
      ['probe-failed', 'probe-passed', 'probe-failed', 'probe-passed', 'probe-failed'].map(
        (event) => [at, event] as const,
      )
    const passes = (at: number) => Array.from({ length: 3 }, () => [at, 'probe-passed'] as const)
    const holds = live([
      ...spell(0), // 5 minutes
      ...passes(5),
      ...spell(6), // 10
      ...passes(16),
      ...spell(17), // 20
      ...passes(37),
      ...spell(38), // 40
      ...passes(78),
      ...spell(79), // 60, not 80
      ...passes(139),
      ...spell(150), // after more than ten steady minutes: 5
    ])
    assert.deepEqual([...new Set(holds.filter((until) => until !== undefined))], [5, 16, 37, 78, 139, 155])
  })

  it('takes a restart that heals a crash or a hang for no wavering', () => {
    const crash = ['lost', 'due', 'recovery-passed', 'pulse-failed', 'lost', 'due', 'recovery-passed']
    const holds = live(
      Array.from({ length: 20 }, () => crash.map((event) => [0, event as HealthEvent] as const)).flat(),
    )
    assert.deepEqual(new Set(holds), new Set([undefined]))
  })

  it('gives way to the operator', () => {
    assertTranscript(`
      0m probe-failed > suspect
      0m probe-passed > healthy
      0m probe-failed > suspect
      0m probe-passed > healthy
      0m probe-failed > suspect, held until 5m
      1m enabled      > healthy
      2m probe-failed > suspect
      3m probe-passed > healthy`)
  })

  it('lets every hold-down end, whatever came before, once the worker passes', () => {
    fc.assert(
      fc.property(fc.array(fc.tuple(fc.constantFrom(...HEALTH_EVENTS), fc.nat(5)), { maxLength: 60 }), (history) => {
        let at = 0
        const before = history.map(([event, minutes]) => {
          at += minutes
          return [at, event] as const
        })
        const healing = (minute: number) =>
          (['due', 'recovery-passed', 'probe-passed'] as const).map((event) => [at + minute, event] as const)
        const after = Array.from({ length: 100 }, (_, minute) => healing(minute)).flat()
        const { health, hold } = lived([...before, ...after])
        assert.equal(health.status, 'healthy')
        assert.equal(hold, undefined)
      }),
    )
  })
})

type Deed = readonly [minute: number, event: string]

function lived(deeds: readonly Deed[]): {
  health: Health
  hold: number | undefined
  each: string[]
  holds: (number | undefined)[]
} {
  let health: Health = { status: 'healthy', fails: 0 }
  let damping = UNDAMPED
  const each: string[] = []
  const holds: (number | undefined)[] = []
  for (const [minute, name] of deeds) {
    const event = name as HealthEvent
    assert.ok(HEALTH_EVENTS.includes(event), name)
    const now = minute * MINUTE
    const after = step(health, event, now, POLICY).health
    const next = dampen(damping, { before: health, event, after }, now, POLICY)
    health = next.health
    damping = next.damping
    const hold = damping.hold && damping.hold.until / MINUTE
    holds.push(hold)
    each.push(`${minute}m ${event} > ${health.status}${hold === undefined ? '' : `, held until ${hold}m`}`)
  }
  return { health, hold: holds.at(-1), each, holds }
}

function live(deeds: readonly Deed[]): readonly (number | undefined)[] {
  return lived(deeds).holds
}

/** Replays the left half of each `<minute> <event> > <outcome>` line and checks the right half. */
function assertTranscript(transcript: string): void {
  const expected = transcript
    .trim()
    .split('\n')
    .map((line) => line.trim().replace(/\s+/g, ' '))
  const deeds = expected.map((line) => {
    const [minute = '', event = ''] = line.split(' ')
    return [Number.parseInt(minute, 10), event] as const
  })
  assert.deepEqual(lived(deeds).each, expected)
}

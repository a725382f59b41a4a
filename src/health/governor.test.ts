import assert from 'node:assert/strict'
import { describe, it } from 'node:test'
import {
  DEFAULT_GOVERNOR_POLICY,
  type GovernorEvent,
  type GovernorState,
  govern,
  type HealingRequest,
  permit,
  UNGOVERNED,
} from './governor.ts'

const POLICY = DEFAULT_GOVERNOR_POLICY
const HOUR = 3_600_000

describe('govern()', () => {
  it('suspects the uplink when more than half of the pool begins to fail within 15 s, until one passes', () => {
    assertTranscript(`
      0s   A B C D watched
      0s   A B C D passed
      10s  A failed    > B and C may
      12s  B failed    > B and C may
      14s  C failed    > uplink suspect
      60s  D failed    > uplink suspect
      600s D passed    > B and C may`)
  })

  it('takes failures that begin far apart for unrelated', () => {
    assertTranscript(`
      0s  A B C D watched
      0s  A B C D passed
      10s A failed > B and C may
      12s B failed > B and C may
      30s C failed > B and C may
      31s D failed > uplink suspect`)
    // At 31 s A and B are failures of long ago: of those that could still show something, C and D, all have failed.
  })

  it('judges by those that can show something', () => {
    assertTranscript(`
      0s A B C D watched
      0s A B     passed
      1s A       withdrawn
      1s C       unwatched
      2s B       failed    > B and C may
      3s D       failed    > uplink suspect`)
  })

  it('cannot tell the uplink from a worker that is alone', () => {
    assertTranscript(`
      0s A watched
      0s A passed
      9s A failed > B and C may`)
  })

  it('begins anew once the uplink is cleared', () => {
    assertTranscript(`
      0s A B C watched
      0s A B C passed
      1s A B   failed > uplink suspect
      9s C     passed > B and C may
      10s A    failed > B and C may
      11s B    failed > uplink suspect`)
  })
})

describe('permit()', () => {
  it('lets a process that exited be started whatever the uplink and whoever else is in healing', () => {
    const state = after(
      ...all('watched'),
      ...all('passed'),
      { worker: 'A', type: 'restart-began', attempt: 1, isGone: false },
      { worker: 'B', type: 'restart-began', attempt: 1, isGone: false },
      ...all('failed'),
    )
    assert.equal(permit(state, recover('C', { isGone: true }), 5, POLICY).at, 5)
    assert.equal(permit(state, recover('C'), 5, POLICY).at, Number.POSITIVE_INFINITY)
    assert.equal(permit(state, { ...reboot('C'), isGone: true }, 5, POLICY).at, Number.POSITIVE_INFINITY)
  })

  it('heals no more than half of the pool at once, and always one', () => {
    const began = (worker: string): GovernorEvent => ({ worker, type: 'restart-began', attempt: 1, isGone: false })
    const one = after(...all('watched'), began('A'))
    assert.equal(permit(one, recover('B'), 0, POLICY).at, 0)
    const two = govern(one, began('B'), 0, POLICY)
    assert.equal(permit(two, recover('C'), 0, POLICY).at, Number.POSITIVE_INFINITY)
    const ended = govern(two, { worker: 'A', type: 'restart-ended' }, 0, POLICY)
    assert.equal(permit(ended, recover('C'), 0, POLICY).at, 0)
    const alone = after({ worker: 'A', type: 'watched' })
    assert.equal(permit(alone, recover('A'), 0, POLICY).at, 0)
  })

  it('waits whether others hang, too, before it restarts one that hangs', () => {
    const request = recover('A', { hungSince: 10_000 })
    assert.deepEqual(permit(after(...all('watched')), request, 11_000, POLICY), {
      at: 13_000,
      reason: 'it hangs; others may hang too',
    })
    assert.equal(permit(after(...all('watched')), request, 13_000, POLICY).at, 13_000)
  })

  it('rations deaths, and lets the backoff pace what follows a death', () => {
    let state = after(...all('watched'))
    let granted = 0
    for (; permit(state, recover('A', { isGone: true }), 0, POLICY).at === 0; granted++) {
      state = govern(state, { worker: 'A', type: 'restart-began', attempt: 1, isGone: true }, 0, POLICY)
      state = govern(state, { worker: 'A', type: 'restart-ended' }, 0, POLICY)
    }
    assert.equal(granted, 20)
    assert.deepEqual(permit(state, recover('A', { isGone: true }), 0, POLICY), {
      at: 60_000,
      reason: 'its restart budget is used up',
    })
    assert.equal(permit(state, recover('A', { isGone: true }), 60_000, POLICY).at, 60_000)
    assert.equal(permit(state, recover('B', { isGone: true }), 0, POLICY).at, 0, 'it is the only one to pay')
    assert.equal(permit(state, recover('A', { attempt: 2 }), 0, POLICY).at, 0)
  })

  it('reboots one worker at a time, one once an hour and three times a day', () => {
    const began = (worker: string, now: number): GovernorEvent => ({
      worker,
      type: 'reboot-began',
      until: now + 90_000,
    })
    let state = after(...all('watched'), began('A', 0))
    assert.deepEqual(permit(state, reboot('B'), 1_000, POLICY), { at: 90_000, reason: 'another worker reboots' })
    assert.deepEqual(permit(state, reboot('A'), 100_000, POLICY), {
      at: HOUR,
      reason: 'it was rebooted a short time ago',
    })
    for (const at of [HOUR, 2 * HOUR]) {
      assert.equal(permit(state, reboot('A'), at, POLICY).at, at)
      state = govern(state, began('A', at), at, POLICY)
    }
    const quarantine = { at: 24 * HOUR, reason: 'it was rebooted 3 times in a day', isQuarantine: true }
    assert.deepEqual(permit(state, reboot('A'), 3 * HOUR, POLICY), quarantine)
    assert.equal(permit(state, reboot('A'), 24 * HOUR, POLICY).at, 24 * HOUR)
    assert.equal(permit(state, reboot('B'), 3 * HOUR, POLICY).at, 3 * HOUR)
  })
})

function after(...events: readonly GovernorEvent[]): GovernorState {
  return events.reduce((state, event) => govern(state, event, 0, POLICY), UNGOVERNED)
}

function all(type: 'watched' | 'passed' | 'failed'): GovernorEvent[] {
  return ['A', 'B', 'C', 'D'].map((worker) => ({ worker, type }))
}

function recover(
  worker: string,
  { attempt = 1, isGone = false, hungSince }: { attempt?: number; isGone?: boolean; hungSince?: number } = {},
): HealingRequest {
  return { worker, action: { type: 'recover', attempt, hungSince }, isGone }
}

function reboot(worker: string): HealingRequest {
  return { worker, action: { type: 'reboot' }, isGone: false }
}

/** Replays `<time> <workers> <event>` lines; what stands behind `>` says whether workers may be recovered after it. */
function assertTranscript(transcript: string): void {
  let state = UNGOVERNED
  for (const line of transcript.trim().split('\n')) {
    const [deed = '', expected] = line.split('>').map((part) => part.trim())
    const [time = '', ...words] = deed.split(/\s+/)
    const type = words.at(-1) as 'passed'
    const now = Number.parseInt(time, 10) * 1_000
    for (const worker of words.slice(0, -1)) state = govern(state, { worker, type }, now, POLICY)
    if (expected === undefined) continue
    const may = ['B', 'C'].filter((worker) => permit(state, recover(worker), now, POLICY).at === now)
    const actual = state.uplinkSuspectSince === undefined ? `${may.join(' and ')} may` : 'uplink suspect'
    assert.equal(actual, expected, line)
  }
}

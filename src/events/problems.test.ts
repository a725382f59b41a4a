import assert from 'node:assert/strict'
import { describe, it } from 'node:test'
import type { ServiceEvent } from '../domain/events.ts'
import { FakeClock } from '../lib/fake-clock.ts'
import { Problems } from './problems.ts'

function createProblems() {
  const clock = new FakeClock()
  const told: ServiceEvent[] = []
  const problems = new Problems({ clock, record: (event) => told.push(event) })
  return { clock, told, problems }
}

const DEAD = { severity: 'error', text: 'tor01 is dead', worker: 'tor01' } as const

describe('Problems', () => {
  it('shows a problem from its opening to its closing, and tells both', async () => {
    const { clock, told, problems } = createProblems()
    const since = clock.now()
    problems.open('worker_dead', DEAD)
    assert.deepEqual(problems.list(), [{ code: 'worker_dead', ...DEAD, since }])
    await clock.advance(5_000)
    problems.close('worker_dead', 'tor01')
    assert.deepEqual(problems.list(), [])
    assert.deepEqual(told, [
      { type: 'problem_opened', code: 'worker_dead', ...DEAD },
      { type: 'problem_closed', code: 'worker_dead', severity: 'error', worker: 'tor01', ms: 5_000 },
    ])
  })

  it('opens one problem once, however often it is said, and shows the newest text', async () => {
    const { clock, told, problems } = createProblems()
    problems.open('uplink_suspect', { severity: 'warn', text: '3 of 4 failed' })
    const [{ since } = { since: Number.NaN }] = problems.list()
    await clock.advance(1_000)
    problems.open('uplink_suspect', { severity: 'warn', text: '4 of 4 failed' })
    assert.deepEqual(problems.list(), [
      { code: 'uplink_suspect', severity: 'warn', text: '4 of 4 failed', worker: undefined, since },
    ])
    assert.equal(told.length, 1)
    problems.open('uplink_suspect', { severity: 'error', text: '4 of 4 failed' })
    assert.deepEqual(told.at(-1), {
      type: 'problem_opened',
      code: 'uplink_suspect',
      severity: 'error',
      text: '4 of 4 failed',
    })
  })

  it('keeps the problems of two workers apart, and those of no worker', () => {
    const { problems } = createProblems()
    problems.open('worker_dead', DEAD)
    problems.open('worker_dead', { ...DEAD, worker: 'tor02' })
    problems.open('no_worker', { severity: 'error', text: 'none' })
    problems.close('worker_dead', 'tor01')
    problems.close('worker_dead')
    assert.deepEqual(
      problems.list().map(({ code, worker }) => [code, worker]),
      [
        ['worker_dead', 'tor02'],
        ['no_worker', undefined],
      ],
    )
  })

  it('says nothing of what passes before it is visible, and shows since when the rest has lasted', async () => {
    const { clock, told, problems } = createProblems()
    const since = clock.now()
    const slow = { severity: 'warn', text: 'none', visibleAfterMs: 5_000 } as const
    problems.open('no_worker', slow)
    await clock.advance(4_999)
    problems.close('no_worker')
    assert.deepEqual([told, problems.list(), clock.pending], [[], [], 0])

    problems.open('no_worker', slow)
    problems.open('no_worker', { ...slow, severity: 'error' })
    assert.deepEqual(problems.list(), [])
    await clock.advance(5_000)
    assert.equal(problems.list()[0]?.since, since + 4_999)
    assert.deepEqual(told, [{ type: 'problem_opened', code: 'no_worker', severity: 'error', text: 'none' }])
  })

  it('does nothing about a problem that is not open', () => {
    const { told, problems } = createProblems()
    problems.close('clock_skew')
    assert.deepEqual(told, [])
  })

  it('takes foreign text as printable, and not without end', () => {
    const { problems } = createProblems()
    problems.open('store_unwritable', { severity: 'error', text: `\u001b[2J\n${'x'.repeat(10_000)}` })
    assert.match(problems.list()[0]?.text ?? '', /^[\x20-\x7e]{400}$/)
  })

  it('leaves no timer behind', () => {
    const { clock, told, problems } = createProblems()
    problems.open('no_worker', { severity: 'error', text: 'none', visibleAfterMs: 1 })
    problems[Symbol.dispose]()
    assert.deepEqual([clock.pending, told], [0, []])
  })
})

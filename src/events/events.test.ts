import assert from 'node:assert/strict'
import { describe, it } from 'node:test'
import {
  circuitsRenewed,
  EVENT_TYPES,
  type RecordedEvent,
  type ServiceEvent,
  severityOf,
  workerOf,
} from '../domain/events.ts'
import type { Exit } from '../domain/worker.ts'
import { FakeClock } from '../lib/fake-clock.ts'
import type { LogFields, Logger } from '../lib/log.ts'
import { eventText } from './event-text.ts'
import { Events } from './events.ts'

const worker = 'tor01'
const exit = { nickname: 'exit1', fingerprint: 'A'.repeat(40) }

/** One of each type. */
const EVENTS: readonly ServiceEvent[] = [
  { type: 'service_started', version: '1.2.3' },
  { type: 'service_stopping', reason: 'SIGTERM' },
  { type: 'health_changed', worker, from: 'suspect', to: 'dead', reason: 'its process exited' },
  { type: 'desired_changed', worker, from: 'enabled', to: 'drained' },
  { type: 'mode_changed', from: 'random', to: 'failover' },
  { type: 'recovery_started', worker, attempt: 1 },
  { type: 'recovery_step_ended', worker, attempt: 1, step: 'restart-tor', ok: false, ms: 1_250, error: 'no answer' },
  { type: 'recovery_ended', worker, attempt: 1, ok: true, ms: 3_000 },
  { type: 'tor_restarted', worker, by: 'operator' },
  { type: 'reboot_ordered', worker },
  { type: 'reboot_refused', worker, reason: 'one reboot an hour is enough' },
  { type: 'worker_untrusted', worker, reason: 'its host key is another one' },
  { type: 'worker_trusted', worker },
  { type: 'worker_quarantined', worker, reason: 'three reboots in a day' },
  { type: 'worker_released', worker, reason: 'enabled by the operator' },
  { type: 'uplink_suspected', reason: '3 of 4 workers failed within 15 s' },
  { type: 'uplink_cleared', reason: 'a probe passed' },
  { type: 'circuits_renewed', worker, ...circuitsRenewed([exit], [], 4) },
  { type: 'session_moved', worker },
  { type: 'session_rotated', worker },
  { type: 'session_ended', worker },
  { type: 'storm_stopped', worker, circuits: 11 },
  { type: 'worker_added', worker },
  { type: 'worker_removed', worker },
  {
    type: 'config_reloaded',
    ...{ applied: ['log'], added: ['tor02'], removed: [], changed: ['tor03'], needsRestart: ['listen'] },
  },
  { type: 'config_refused', reason: 'it has 1 fault: line 3, log' },
  { type: 'replica_joined', replica: 'gw2', version: '1.2.3' },
  { type: 'replica_left', replica: 'gw2' },
  { type: 'problem_opened', code: 'worker_dead', severity: 'error', worker, text: 'tor01 is dead' },
  { type: 'problem_closed', code: 'no_worker', severity: 'error', ms: 12_000 },
]

function createEvents(capacity?: number) {
  const clock = new FakeClock(5_000)
  const lines: { level: string; fields: LogFields; message: string }[] = []
  const counted: RecordedEvent[] = []
  const writer = (level: string) => (fields: LogFields, message: string) => lines.push({ level, fields, message })
  const logger: Logger = {
    error: writer('error'),
    warn: writer('warn'),
    info: writer('info'),
    debug: writer('debug'),
    child: () => logger,
  }
  const metrics = { eventRecorded: (event: RecordedEvent) => void counted.push(event) }
  const events = new Events({ clock, logger, metrics, ...(capacity !== undefined && { capacity }) })
  return { clock, lines, counted, events }
}

describe('Events', () => {
  it('has in its history what another gateway tells, and neither logs nor counts it', () => {
    const { lines, counted, events } = createEvents()
    events.record({ type: 'worker_added', worker })
    const heard = { at: 4_000, severity: 'warn', text: 'tor02\u001b[2J went', event: EVENTS[2] } as const
    events.hear('gw2', { ...heard, event: { type: 'replica_left', replica: 'gw3' } })
    const [own, others] = events.since(0).entries
    assert.equal(own?.replica, undefined)
    assert.deepEqual(
      [others?.replica, others?.at, others?.id, others?.severity],
      ['gw2', 4_000, (own?.id ?? 0) + 1, 'warn'],
    )
    assert.equal(others?.text.includes('\u001b'), false)
    assert.deepEqual([lines.length, counted.length], [1, 1])
  })

  it('writes log, metric and history of an event by one call, with the wall-clock time', async () => {
    const { clock, lines, counted, events } = createEvents()
    await clock.advance(2_000)
    const recorded = events.record({ type: 'health_changed', worker, from: 'healthy', to: 'suspect', reason: 'why' })
    const fields = { worker, from: 'healthy', to: 'suspect', reason: 'why' }
    const text = 'tor01 went from healthy to suspect: why'
    assert.deepEqual(recorded, {
      id: 5_001,
      at: 7_000,
      severity: 'warn',
      text,
      event: { type: 'health_changed', ...fields },
    })
    assert.deepEqual(lines, [
      { level: 'warn', fields: { event: 'health_changed', id: 5_001, ...fields }, message: text },
    ])
    assert.deepEqual(counted, [recorded])
    assert.deepEqual(events.since(0), { entries: [recorded], isComplete: true })
  })

  it('keeps so many and no more, under ids that increase', () => {
    const { events } = createEvents(3)
    for (const event of EVENTS) events.record(event)
    const { entries, isComplete } = events.since(0)
    assert.equal(isComplete, false)
    assert.deepEqual(
      entries.map(({ id }) => id - events.newestId),
      [-2, -1, 0],
    )
  })

  it('gives a later run higher ids, so that a reader is told that it missed something', async () => {
    const first = createEvents()
    const { id } = first.events.record({ type: 'reboot_ordered', worker })
    const second = createEvents()
    await second.clock.advance(1)
    const restarted = new Events({
      clock: second.clock,
      logger: { error() {}, warn() {}, info() {}, debug() {}, child: () => assert.fail() },
      metrics: { eventRecorded() {} },
    })
    restarted.record({ type: 'service_started', version: '1' })
    assert.ok(restarted.newestId > id)
    assert.equal(restarted.since(id - 1).isComplete, false)
  })

  it('tells listeners in order, and goes on when one fails', () => {
    const { events, lines } = createEvents()
    const heard: string[] = []
    events.onAdded(({ event }) => {
      if (event.type === 'reboot_ordered') events.record({ type: 'mode_changed', from: 'random', to: 'sticky' })
      throw new Error('broken listener')
    })
    const listening = events.onAdded(({ event }) => heard.push(event.type))
    events.record({ type: 'reboot_ordered', worker })
    listening[Symbol.dispose]()
    events.record({ type: 'session_rotated', worker })
    assert.deepEqual(heard, ['reboot_ordered', 'mode_changed'])
    assert.equal(lines.filter(({ message }) => message === 'a listener of events failed').length, 3)
  })

  it('takes milliseconds as whole ones', () => {
    const { events } = createEvents()
    const { event } = events.record({ type: 'recovery_ended', worker, attempt: 1, ok: true, ms: 12.6789 })
    assert.equal('ms' in event && event.ms, 13)
  })

  it('takes foreign text as printable, and not without end', () => {
    const { events } = createEvents()
    const reason = `\u001b[2J\n${'x'.repeat(10_000)}`
    const { event, text } = events.record({ type: 'worker_quarantined', worker, reason })
    assert.match(text, /^[\x20-\x7e]{1,400}$/)
    assert.ok('reason' in event && /^[\x20-\x7e]{1,400}$/.test(event.reason))
  })
})

it('every type of event has a severity, and a sentence that names its worker', () => {
  assert.deepEqual(EVENTS.map(({ type }) => type).sort(), [...EVENT_TYPES].sort())
  for (const event of EVENTS) {
    const text = eventText(event)
    assert.match(text, /^\S.*[^.\s]$/, event.type)
    assert.doesNotMatch(text, /undefined|\[object/, event.type)
    const subject = workerOf(event)
    if (subject !== undefined) assert.ok(text.includes(subject), text)
    assert.match(severityOf(event), /^(?:error|warn|info)$/)
  }
})

it('the severity of an event follows from what happened', () => {
  const health = (to: 'healthy' | 'suspect' | 'dead') =>
    severityOf({ type: 'health_changed', worker, from: 'starting', to, reason: '' })
  assert.deepEqual([health('healthy'), health('suspect'), health('dead')], ['info', 'warn', 'warn'])
  const ended = (ok: boolean) => severityOf({ type: 'recovery_ended', worker, attempt: 1, ok, ms: 1 })
  assert.deepEqual([ended(true), ended(false)], ['info', 'warn'])
  const opened = severityOf({ type: 'problem_opened', code: 'no_worker', severity: 'error', text: '' })
  assert.equal(opened, 'error')
  assert.equal(severityOf({ type: 'problem_closed', code: 'no_worker', severity: 'error', ms: 1 }), 'info')
})

it('tells of sessions that have no worker yet, and of steps that were not needed', () => {
  assert.equal(eventText({ type: 'session_ended', worker: undefined }), 'A session was ended')
  const step = { worker, attempt: 2, step: 'host-reachable', ok: true, ms: 0, skipped: true } as const
  assert.match(eventText({ type: 'recovery_step_ended', ...step }), /step host-reachable was skipped$/)
})

it('tells honestly whether the exits are other ones', () => {
  const other = { nickname: 'exit2', fingerprint: 'B'.repeat(40) }
  const text = (before: Exit[], after: Exit[]) =>
    eventText({ type: 'circuits_renewed', worker, ...circuitsRenewed(before, after, 1) })
  assert.match(text([exit], [other]), /by other exits \(before: exit1; after: exit2\)/)
  assert.match(text([exit], [other, exit]), /by an exit from before/)
  assert.match(text([exit], []), /not known/)
  assert.match(text([], [exit]), /not known/)
})

it('names what a reload has changed, and no more', () => {
  const none = { applied: [], added: [], removed: [], changed: [], needsRestart: [] }
  const text = (changes: Partial<typeof none> | Record<string, readonly string[]>) =>
    eventText({ type: 'config_reloaded', ...none, ...changes })
  assert.equal(text({}), 'The configuration was read anew: nothing has changed')
  assert.equal(
    text({ applied: ['log', 'hosts'], removed: ['tor01'], needsRestart: ['listen'] }),
    'The configuration was read anew: changed: log, hosts; workers that go: tor01; only after a restart: listen',
  )
})

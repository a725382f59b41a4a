import assert from 'node:assert/strict'
import { describe, it } from 'node:test'
import type { Event, Live } from '../../client/client.ts'
import { isoTime } from '../../lib/iso-time.ts'
import { showLine } from './styled.ts'
import { SORT_NAMES, sortedWorkers, type TopView, topFrame } from './top-frame.ts'
import { afterMessage, type TopState } from './top-state.ts'

const NOW = 1_800_000_000_000
const VIEW: TopView = { columns: 100, rows: 24, sort: 'n', isReversed: false, chosen: undefined, footer: ['keys'] }

type Worker = Live['workers'][number]

function worker(n: number, change: Partial<Worker> = {}): Worker {
  return {
    ...{ id: `tor${String(n).padStart(2, '0')}`, n, kind: 'local', desired: 'enabled', state: 'healthy' },
    ...{ since: isoTime(NOW - 300_000), consecutive_failures: 0, receives_traffic: true },
    process: { state: 'running', pid: 1, started_at: isoTime(NOW) },
    bootstrap: { progress: 100, tag: 'done', summary: 'Done' },
    ...{ tor_version: null, leases: 0, problem: null, last_recovery: null, requests: 0, failures: 0 },
    last_check: { at: isoTime(NOW), ok: true, latency_ms: 12, error: null },
    next_action: { type: 'probe', at: isoTime(NOW + 5_000), reason: null },
    ...{ history: [], requests_per_s: 0, read_bytes_per_s: 0, written_bytes_per_s: 0 },
    ...change,
  }
}

function event(id: number): Event {
  const at = isoTime(NOW + id)
  return {
    id,
    at,
    type: 'mode_changed',
    severity: 'info',
    worker: null,
    replica: null,
    text: `event ${id}`,
    details: {},
  }
}

function state(workers: readonly Worker[], change: Partial<Live> = {}): TopState {
  const live: Live = {
    ...{ at: isoTime(NOW), version: '1.2.3', started_at: isoTime(NOW - 7_200_000), problems: [], series: [] },
    pool: {
      ...{
        state: 'ok',
        mode: 'sticky',
        window_s: 60,
        requests_per_s: 1.25,
        success_ratio: 0.995,
        p50_ms: 100,
        p95_ms: 900,
      },
      ...{ leases: 3, waiting: 0, tunnels: 1, read_bytes_per_s: 2_048, written_bytes_per_s: 10 },
    },
    ...{ workers: [...workers], requests: [], requests_total: 0 },
    ...change,
  }
  return { live, events: [event(1), event(2)] }
}

const plain = (of: TopState, view: Partial<TopView> = {}) =>
  topFrame(of, { ...VIEW, ...view }).map((line) => showLine(line, view.columns ?? VIEW.columns, 'plain'))

describe('topFrame()', () => {
  it('shows the pool, the workers and what happened', () => {
    const lines = plain(state([worker(1), worker(2, { state: 'dead', problem: 'Tor has ended' })]))
    assert.equal(lines[0], `cbtor 1.2.3, up for 2 h, sticky  ${isoTime(NOW).slice(11, 19)}Z`)
    assert.match(lines[1] ?? '', /^The pool is well {2}req\/s 1\.3 {2}success 99\.5 % {2}p50 100 ms {2}p95 900 ms$/m)
    assert.match(lines.join('\n'), /^1 +tor01 +enabled +healthy +5 min +0\.0 +0 +0 +12 ms +0 B\/s +probe in 5 s$/m)
    assert.match(lines.join('\n'), /^2 +tor02 +enabled +dead .* Tor has ended$/m)
    assert.match(lines.join('\n'), /^Events\n.* event 1\n.* event 2\nkeys$/m)
  })

  it('fits in any terminal, and says how many of many workers it shows', () => {
    const many = state(
      Array.from({ length: 200 }, (_, n) => worker(n + 1)),
      {
        problems: Array.from({ length: 9 }, () => ({
          code: 'x',
          severity: 'warn' as const,
          text: 'y',
          since: isoTime(NOW),
          worker: null,
        })),
      },
    )
    for (const rows of [1, 2, 3, 5, 8, 12, 24, 60, 300]) {
      for (const columns of [1, 20, 80, 200]) {
        const lines = plain(many, { rows, columns })
        assert.ok(lines.length <= rows, `${lines.length} lines in ${rows}`)
        for (const line of lines) assert.ok([...line].length <= columns, line)
      }
    }
    assert.match(plain(many).join('\n'), /^Workers 1-\d+ of 200$/m)
    assert.match(plain(many, { chosen: 'tor150' }).join('\n'), /^150 +tor150/m, 'the chosen one is always there')
    assert.match(plain(many).join('\n'), /Problems \(and 5 more: cbtor status\)/)
  })

  it('sorts by each figure, the most remarkable first, and the other way round', () => {
    const of = state([
      worker(1, { leases: 5, failures: 1 }),
      worker(2, { state: 'dead', failures: 9 }),
      worker(3, { requests_per_s: 4, last_check: { at: isoTime(NOW), ok: true, latency_ms: 900, error: null } }),
      worker(4, { desired: 'stopped', state: 'dead' }),
    ])
    const first = Object.fromEntries(
      SORT_NAMES.map((sort) => [sort, sortedWorkers(of, { sort, isReversed: false })[0]?.n]),
    )
    assert.deepEqual(first, { n: 1, state: 2, rate: 3, hand: 1, failed: 2, check: 3 })
    assert.equal(sortedWorkers(of, { sort: 'n', isReversed: true })[0]?.n, 4)
  })

  it('lets no text give orders to the terminal, and colours only where they are wanted', () => {
    const of = state([worker(1, { problem: '\x1b[2Jgone' })])
    const shown = (look: 'colours' | 'no-colours') =>
      topFrame(of, VIEW)
        .map((line) => showLine(line, 100, look))
        .join('\n')
    assert.ok(!shown('colours').includes('\x1b[2J'))
    assert.ok(shown('colours').includes('\x1b[32m'))
    assert.ok(!shown('no-colours').includes('\x1b[3'))
  })

  it('has a bar for ten seconds of requests', () => {
    const point = (n: number, requests: number, failures = 0) => ({
      at: isoTime(NOW + n),
      requests,
      failures,
      p50_ms: null,
      p95_ms: null,
    })
    const lines = plain(state([worker(1)], { series: [point(0, 0), point(1, 1), point(2, 8, 8)] }))
    assert.ok(lines.includes('15 min  ▁█'), lines.join('\n'))
  })
})

describe('afterMessage()', () => {
  it('replaces what has changed and keeps the rest', () => {
    const { live } = state([worker(1), worker(2), worker(3)])
    const point = (at: number, requests: number) => ({
      at: isoTime(at),
      requests,
      failures: 0,
      p50_ms: null,
      p95_ms: null,
    })
    let now = afterMessage(undefined, { type: 'live', live: { ...live, series: [point(0, 1)] } })
    assert.ok(now)
    const change = { at: isoTime(NOW + 1_000), pool: { ...live.pool, leases: 9 }, requests: [], requests_total: 4 }
    now = afterMessage(now, {
      type: 'change',
      change: {
        ...change,
        series: [point(0, 2), point(10_000, 1)],
        workers: [worker(3, { state: 'dead' }), worker(4)],
        removed: ['tor02'],
      },
    })
    assert.ok(now)
    assert.deepEqual(
      now.live.workers.map(({ n, state }) => `${n} ${state}`),
      ['1 healthy', '3 dead', '4 healthy'],
    )
    assert.deepEqual(
      now.live.series.map(({ requests }) => requests),
      [2, 1],
    )
    assert.deepEqual([now.live.pool.leases, now.live.requests_total, now.live.version], [9, 4, '1.2.3'])
    now = afterMessage(now, { type: 'event', event: event(7) })
    now = afterMessage(now, { type: 'event', event: event(7) })
    assert.deepEqual(
      now?.events.map(({ id }) => id),
      [7],
    )
  })

  it('waits for the whole of it', () => {
    assert.equal(afterMessage(undefined, { type: 'event', event: event(1) }), undefined)
  })
})

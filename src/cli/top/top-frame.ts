import type { Event, Live } from '../../client/client.ts'
import { parseIsoTime } from '../../lib/iso-time.ts'
import { showAge, showBytes, showMs } from '../spans.ts'
import { showNext } from '../worker-table.ts'
import type { Line, Piece, Style } from './styled.ts'
import type { TopState } from './top-state.ts'

type Worker = Live['workers'][number]

/** What the user has chosen to see, and how large the view is. */
export interface TopView {
  readonly columns: number
  /** As many lines as there are; everything when it is infinite. */
  readonly rows: number
  readonly sort: SortName
  readonly isReversed: boolean
  /** The worker on which the keys act. */
  readonly chosen: string | undefined
  /** The last line: what is going on, or which keys there are. */
  readonly footer: Line
}

const STATES: Readonly<Record<Worker['state'], readonly [rank: number, style: Style]>> = {
  dead: [0, 'bad'],
  recovery: [1, 'bad'],
  suspect: [2, 'doubtful'],
  starting: [3, 'doubtful'],
  healthy: [4, 'good'],
}

/** Each with the figure by which it sorts, the smallest first. */
const SORTS = {
  n: ({ n }: Worker) => n,
  state: (worker: Worker) => (worker.desired === 'enabled' ? STATES[worker.state][0] : 5),
  rate: (worker: Worker) => -worker.requests_per_s,
  hand: (worker: Worker) => -worker.leases,
  failed: (worker: Worker) => -worker.failures,
  check: (worker: Worker) => -(worker.last_check?.latency_ms ?? -1),
} as const

export type SortName = keyof typeof SORTS
export const SORT_NAMES = Object.keys(SORTS) as readonly SortName[]

const POOL_STYLES: Readonly<Record<Live['pool']['state'], Style>> = { ok: 'good', degraded: 'doubtful', down: 'bad' }
const SEVERITY_STYLES: Readonly<Record<Event['severity'], Style>> = { error: 'bad', warn: 'doubtful', info: 'faint' }

const MAX_PROBLEMS = 4
const MIN_EVENTS = 3
const MAX_EVENTS = 8

/** The workers in the order in which they are shown. */
export function sortedWorkers(
  { live }: TopState,
  { sort, isReversed }: Pick<TopView, 'sort' | 'isReversed'>,
): readonly Worker[] {
  const figure = SORTS[sort]
  const sign = isReversed ? -1 : 1
  return [...live.workers].sort((one, other) => sign * (figure(one) - figure(other)) || one.n - other.n)
}

/** The whole view, a line each; never more than `rows`. */
export function topFrame(state: TopState, view: TopView): readonly Line[] {
  const { live } = state
  const now = parseIsoTime(live.at)
  const head = headLines(live, view.columns)
  const problems = problemLines(live, now)
  const isEndless = !Number.isFinite(view.rows)
  const free = view.rows - head.length - problems.length - 1
  const wanted = live.workers.length + 2
  const events = eventLines(
    state,
    Math.max(MIN_EVENTS, Math.min(MAX_EVENTS, isEndless ? MAX_EVENTS : free - wanted - 2)),
  )
  const workers = workerLines(
    state,
    view,
    isEndless ? Number.POSITIVE_INFINITY : Math.max(1, free - events.length),
    now,
  )
  const body = [...head, ...problems, ...workers, ...events]
  const filled = isEndless ? body : body.slice(0, Math.max(0, view.rows - 1))
  return [...filled, ...(view.footer.length === 0 ? [] : [view.footer])]
}

function headLines({ pool, at, version, started_at: startedAt, series }: Live, columns: number): readonly Line[] {
  const { success_ratio: ratio, p50_ms: p50, p95_ms: p95 } = pool
  const figure = (name: string, value: string): Piece[] => [[`  ${name} `, 'faint'], value]
  const rates: Line = [
    'The pool is ',
    [pool.state === 'ok' ? 'well' : pool.state, POOL_STYLES[pool.state]],
    ...figure('req/s', pool.requests_per_s.toFixed(1)),
    ...figure('success', ratio === null ? '-' : `${(ratio * 100).toFixed(1)} %`),
    ...figure('p50', p50 === null ? '-' : showMs(p50)),
    ...figure('p95', p95 === null ? '-' : showMs(p95)),
  ]
  const amounts: Line = [
    ...figure('in hand', String(pool.leases)),
    ...figure('waiting', String(pool.waiting)),
    ...figure('tunnels', String(pool.tunnels)),
    ...figure('in', `${showBytes(pool.read_bytes_per_s)}/s`),
    ...figure('out', `${showBytes(pool.written_bytes_per_s)}/s`),
  ]
  return [
    [
      ['cbtor', 'strong'],
      ` ${version}, up for ${showAge(startedAt, parseIsoTime(at))}, ${pool.mode}`,
      [`  ${at.slice(11, 19)}Z`, 'faint'],
    ],
    ...(columns >= ONE_LINE_FROM_COLUMNS ? [[...rates, ...amounts]] : [rates, amounts]),
    [['15 min ', 'faint'], ...sparkline(series, columns - 7)],
  ]
}

const BARS = '▁▂▃▄▅▆▇█'

/** A bar for each 10 seconds, as high as its requests; red where most of them failed. */
function sparkline(series: Live['series'], columns: number): readonly Piece[] {
  const points = series.slice(-Math.max(0, columns))
  const highest = Math.max(1, ...points.map(({ requests }) => requests))
  return points.map(({ requests, failures }) => {
    const bar = requests === 0 ? ' ' : (BARS[Math.ceil((requests / highest) * BARS.length) - 1] ?? ' ')
    return [bar, failures * 2 > requests ? 'bad' : failures > 0 ? 'doubtful' : undefined]
  })
}

function problemLines({ problems }: Live, now: number): readonly Line[] {
  if (problems.length === 0) return []
  const lines = problems
    .slice(0, MAX_PROBLEMS)
    .map(
      ({ severity, text, since }): Line => [
        [`  ${severity.padEnd(6)}`, SEVERITY_STYLES[severity]],
        text,
        [`  for ${showAge(since, now)}`, 'faint'],
      ],
    )
  const more = problems.length - lines.length
  return [[], [['Problems', 'strong'], ...(more > 0 ? [` (and ${more} more: cbtor status)`] : [])], ...lines]
}

const WIDTHS = [4, 10, 9, 9, 8, 7, 8, 7, 8, 11] as const
/** Narrower views have no room for bytes. */
const BYTES_FROM_COLUMNS = 100
const ONE_LINE_FROM_COLUMNS = 140

function workerLines(state: TopState, view: TopView, rows: number, now: number): readonly Line[] {
  const workers = sortedWorkers(state, view)
  const hasBytes = view.columns >= BYTES_FROM_COLUMNS
  const room = Math.max(1, rows - 2)
  const at = Math.max(
    0,
    workers.findIndex(({ id }) => id === view.chosen),
  )
  const first = Math.max(0, Math.min(at - Math.floor(room / 2), workers.length - room))
  const shown = workers.slice(first, first + room)
  const title = (name: string, sort?: SortName) => (sort === view.sort ? `${name}${view.isReversed ? '^' : '*'}` : name)
  const header = [
    ...[title('n', 'n'), 'worker', 'desired', title('state', 'state'), 'for', title('req/s', 'rate')],
    ...[title('in hand', 'hand'), title('failed', 'failed'), title('check', 'check')],
    ...(hasBytes ? ['in'] : []),
  ]
  return [
    shown.length < workers.length
      ? [[`Workers ${first + 1}-${first + shown.length} of ${workers.length}`, 'faint']]
      : [],
    [[`${columnsOf(header)}next`, 'strong']],
    ...shown.map((worker) => workerLine(worker, { isChosen: worker.id === view.chosen, hasBytes, now })),
  ]
}

function workerLine(
  worker: Worker,
  { isChosen, hasBytes, now }: { isChosen: boolean; hasBytes: boolean; now: number },
): Line {
  const { desired, state, last_check: check } = worker
  const before = columnsOf([String(worker.n), worker.id, desired])
  const stateText = state.padEnd(WIDTHS[3])
  const after = columnsOf(
    [
      showAge(worker.since, now),
      worker.requests_per_s.toFixed(1),
      String(worker.leases),
      String(worker.failures),
      check === null ? '' : check.ok ? (check.latency_ms === null ? 'ok' : showMs(check.latency_ms)) : 'failed',
      ...(hasBytes ? [`${showBytes(worker.read_bytes_per_s)}/s`] : []),
    ],
    4,
  )
  const rest = `${after}${worker.problem ?? showNext(worker, now)}`
  if (isChosen) return [[`${before}${stateText}${rest}`, 'chosen']]
  return [
    desired === 'enabled' ? before : [before, 'faint'],
    [stateText, desired === 'enabled' ? STATES[state][1] : 'faint'],
    rest,
  ]
}

function columnsOf(cells: readonly string[], from = 0): string {
  return cells.map((cell, index) => `${cell.padEnd((WIDTHS[from + index] ?? 8) - 1)} `).join('')
}

function eventLines({ events }: TopState, count: number): readonly Line[] {
  if (events.length === 0) return []
  const lines = events.slice(-count).map(({ at, severity, worker, text }): Line => {
    const about = worker === null || text.includes(worker) ? '' : `${worker}: `
    return [[`  ${at.slice(11, 19)}  `, 'faint'], [severity.padEnd(6), SEVERITY_STYLES[severity]], `${about}${text}`]
  })
  return [[], [['Events', 'strong']], ...lines]
}

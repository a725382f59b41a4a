import { useMemo, useState } from 'preact/hooks'
import type { SeriesPointBody } from '../api/bodies.ts'
import { clockTime, parseTime } from '../time/clock.ts'
import { Chart, type ChartSeries } from '../ui/chart.tsx'
import { Panel } from '../ui/panel.tsx'
import { counted, latency } from '../ui/text.ts'

const GROUP = 'traffic'

/** Requests and how long they took, over the last 15 minutes. */
export function Traffic({ series }: { readonly series: readonly SeriesPointBody[] }) {
  const [pointed, setPointed] = useState<number>()
  const times = useMemo(() => series.map(({ at }) => parseTime(at) / 1_000), [series])
  const counts = useMemo<readonly ChartSeries[]>(
    () => [
      { name: 'Requests', colour: '--accent-fill', kind: 'bars', values: series.map(({ requests }) => requests) },
      { name: 'Failed', colour: '--bad-fill', kind: 'bars', values: series.map(({ failures }) => failures) },
    ],
    [series],
  )
  const times50And95 = useMemo<readonly ChartSeries[]>(
    () => [
      { name: 'p95', colour: '--warn-fill', kind: 'dashes', values: series.map(({ p95_ms: ms }) => ms) },
      { name: 'p50', colour: '--accent', kind: 'line', values: series.map(({ p50_ms: ms }) => ms) },
    ],
    [series],
  )
  const total = series.reduce((sum, { requests }) => sum + requests, 0)
  const failed = series.reduce((sum, { failures }) => sum + failures, 0)
  const point = pointed === undefined ? undefined : series[pointed]
  return (
    <Panel
      title="Last 15 minutes"
      note={point === undefined ? `${counted(total, 'request')}, ${failed} failed` : pointText(point)}
    >
      <ul class="legend">
        <Key colour="--accent-fill" text="requests in 10 s" />
        <Key colour="--bad-fill" text="failed" />
      </ul>
      <Chart
        {...{ times, group: GROUP, height: 150, onPoint: setPointed }}
        series={counts}
        least={4}
        format={(value) => (Number.isInteger(value) ? String(value) : '')}
        label={`Requests in the last 15 minutes: ${total}, of them ${failed} failed`}
      />
      <ul class="legend">
        <Key colour="--accent" text="p50" />
        <Key colour="--warn-fill" text="p95" isDashed />
      </ul>
      <Chart
        {...{ times, group: GROUP, height: 150, onPoint: setPointed }}
        series={times50And95}
        least={200}
        format={latency}
        label={`How long requests took: p50 ${latency(series.at(-1)?.p50_ms)}, p95 ${latency(series.at(-1)?.p95_ms)} of late`}
      />
    </Panel>
  )
}

function Key({
  colour,
  text,
  isDashed = false,
}: {
  readonly colour: string
  readonly text: string
  readonly isDashed?: boolean
}) {
  return (
    <li>
      <span
        class={isDashed ? 'legend-dashes' : 'legend-block'}
        style={{ color: `var(${colour})` }}
        aria-hidden="true"
      />
      {text}
    </li>
  )
}

function pointText({ at, requests, failures, p50_ms: p50, p95_ms: p95 }: SeriesPointBody): string {
  const time = clockTime(at).split(', ').at(-1)
  return `${time} · ${counted(requests, 'request')}, ${failures} failed · p50 ${latency(p50)} · p95 ${latency(p95)}`
}

import type { ComponentChildren } from 'preact'
import type { LiveView } from '../live/live-state.ts'
import { linkTo } from '../routing/route.ts'
import { Sparkline } from '../ui/sparkline.tsx'
import { bytes, counted, figure, latency, percent, rate } from '../ui/text.ts'
import { POOR_RATIO } from './pool-sentence.ts'

/** The pool in numbers, each of the last minute unless it is of now. */
export function Figures({ view: { pool, series } }: { readonly view: LiveView }) {
  const isPoor = pool.success_ratio !== null && pool.success_ratio < POOR_RATIO
  return (
    <dl class="pool-figures">
      <Figure name="Requests/s" value={rate(pool.requests_per_s)}>
        <Sparkline
          values={series.slice(-30).map(({ requests }) => requests)}
          label="Requests in the last 5 minutes"
          width={72}
        />
      </Figure>
      <Figure name="Success" value={percent(pool.success_ratio)} isPoor={isPoor} />
      <Figure name="p50" value={latency(pool.p50_ms)} />
      <Figure name="p95" value={latency(pool.p95_ms)}>
        <Sparkline
          values={series.slice(-30).map(({ p95_ms: ms }) => ms)}
          label="p95 in the last 5 minutes"
          width={72}
        />
      </Figure>
      <Figure
        name="Active leases"
        value={figure(pool.leases)}
        note={pool.tunnels === 0 ? undefined : counted(pool.tunnels, 'tunnel')}
      />
      <Figure name="Waiting" value={figure(pool.waiting)} isPoor={pool.waiting > 0 && pool.state === 'down'} />
      <Figure
        name="Throughput"
        value={`${bytes(pool.read_bytes_per_s)}/s`}
        note={`${bytes(pool.written_bytes_per_s)}/s up`}
      />
      <Figure
        name="Balancing"
        value={
          <a class="figure-link" href={linkTo('workers')}>
            {pool.mode.replaceAll('_', ' ')}
          </a>
        }
        isText
      />
    </dl>
  )
}

interface FigureProps {
  readonly name: string
  readonly value: ComponentChildren
  readonly note?: string | undefined
  readonly isPoor?: boolean
  readonly isText?: boolean
  readonly children?: ComponentChildren
}

function Figure({ name, value, note, isPoor = false, isText = false, children }: FigureProps) {
  return (
    <div class={isPoor ? 'figure figure-poor' : 'figure'}>
      <dt>{name}</dt>
      <dd>
        <span class={isText ? 'figure-text' : 'figure-value number'}>{value}</span>
        {note !== undefined && <span class="figure-note number">{note}</span>}
        {children}
      </dd>
    </div>
  )
}

import { latency } from '../../ui/text.ts'
import type { Span } from './timeline.ts'

interface TimelineProps {
  readonly spans: readonly Span[]
  readonly totalMs: number
}

/** Where the time went: a bar for each part, below one another, on one scale. */
export function Timeline({ spans, totalMs }: TimelineProps) {
  const share = (ms: number) => (totalMs > 0 ? (100 * ms) / totalMs : 0)
  return (
    <ol class="timeline">
      {spans.map(({ name, about, fromMs, ms, kind }) => (
        <li key={name}>
          <span class="span-name">
            {name} <span class="muted">{about}</span>
          </span>
          <svg class="span-bar" viewBox="0 0 100 10" preserveAspectRatio="none" aria-hidden="true">
            <rect class="bar-rest" width="100" height="10" />
            <rect class={`span-${kind}`} x={share(fromMs)} width={Math.max(0.4, share(ms))} height="10" />
          </svg>
          <span class="span-ms number">{latency(ms)}</span>
        </li>
      ))}
    </ol>
  )
}

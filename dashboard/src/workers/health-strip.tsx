import { useMemo } from 'preact/hooks'
import type { LiveWorkerBody } from '../api/bodies.ts'
import { roughDuration } from '../ui/text.ts'
import { useServiceNow } from '../ui/time.tsx'
import { stretchesOf, stripText } from './strip.ts'

/** So often the strip moves: a tenth of a pixel in an hour of 360 pixels is a second. */
const STEP_MS = 5_000

/** The last hour as a band: high and plain is healthy; what is not is lower, or hatched. */
export function HealthStrip({ history }: Pick<LiveWorkerBody, 'history'>) {
  const now = Math.ceil(useServiceNow() / STEP_MS) * STEP_MS
  return useMemo(() => {
    const stretches = stretchesOf(history, now)
    return (
      <div class="strip">
        <div class="strip-band" role="img" aria-label={`Last hour: ${stripText(stretches)}`}>
          {stretches.map(({ state, from, to, ms }) => (
            <span
              key={from}
              class={`strip-${state}`}
              title={`${state}, ${roughDuration(ms)}`}
              style={{ left: `${from * 100}%`, width: `max(2px, ${(to - from) * 100}%)` }}
            />
          ))}
        </div>
        <div class="strip-scale" aria-hidden="true">
          <span>1 h ago</span>
          <span>now</span>
        </div>
      </div>
    )
  }, [history, now])
}

import { useLive } from '../context.ts'
import { clockTime, parseTime } from '../time/clock.ts'
import { useNow } from '../time/use-now.ts'
import { roughDuration } from './text.ts'

/** The service's time, anew each second. */
export function useServiceNow(): number {
  const skewMs = useLive((state) => state.skewMs)
  return useNow() + skewMs
}

interface TimeProps {
  /** ISO 8601, as the API has it. */
  readonly at: string
}

/** How long ago: `40 s ago`; the time of day for who points at it. */
export function TimeAgo({ at }: TimeProps) {
  const ms = Math.max(0, useServiceNow() - parseTime(at))
  return (
    <time class="number" dateTime={at} title={clockTime(at)}>
      {ms < 1_500 ? 'now' : `${roughDuration(ms)} ago`}
    </time>
  )
}

/** How long it has been so: `40 s`. */
export function Since({ at }: TimeProps) {
  const ms = Math.max(0, useServiceNow() - parseTime(at))
  return (
    <time class="number" dateTime={at} title={`since ${clockTime(at)}`}>
      {roughDuration(ms)}
    </time>
  )
}

/** How long until then: `in 4 s`; `now` once it is due. */
export function Countdown({ at }: TimeProps) {
  const ms = parseTime(at) - useServiceNow()
  return (
    <time class="number" dateTime={at} title={clockTime(at)}>
      {ms < 500 ? 'now' : `in ${roughDuration(ms)}`}
    </time>
  )
}

import { z } from 'zod'
import { DURATION_PATTERN, parseDuration } from './duration.ts'

const NO_DURATION = 'expected a duration with its unit, such as 250ms, 10s or 15m'

/** A duration with its unit outside (`10s`), milliseconds inside. */
export const duration = z
  .string(NO_DURATION)
  .transform((text, context) => {
    const ms = parseDuration(text)
    if (ms !== undefined) return ms
    context.addIssue({ code: 'custom', message: NO_DURATION })
    return z.NEVER
  })
  .meta({ pattern: DURATION_PATTERN })

/** One from `min` to `max` milliseconds; `words` say the same: `1s to 10m`. */
export const durationFrom = (min: number, max: number, words: string) =>
  duration.refine((ms) => ms >= min && ms <= max, `expected a duration from ${words}`)

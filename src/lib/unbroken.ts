import { faultFields } from './fault-fields.ts'

/** Control characters (CR, LF and ESC among them), those that turn the direction of text, and the other ends of lines. */
const BREAKING = /[\p{Cc}\p{Bidi_Control}\u2028\u2029]/gu
/** Deeper than anything that is logged. */
const MAX_DEPTH = 6

/** A value for the log with all that could break a line or steer a terminal replaced by `?`; errors without their messages. */
export function unbroken(value: unknown): unknown {
  return unbrokenAt(value, 0)
}

function unbrokenAt(value: unknown, depth: number): unknown {
  if (typeof value === 'string') return value.replace(BREAKING, '?')
  if (typeof value !== 'object' || value === null) return value
  if (depth > MAX_DEPTH) return '...'
  if (value instanceof Error) return faultFields(value)
  if (Array.isArray(value)) return value.map((item) => unbrokenAt(item, depth + 1))
  return Object.fromEntries(
    Object.entries(value).map(([name, item]) => [name.replace(BREAKING, '?'), unbrokenAt(item, depth + 1)]),
  )
}

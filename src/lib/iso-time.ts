/** An instant in milliseconds since the epoch as UTC in ISO 8601: `2026-01-31T12:00:00.000Z`. */
export function isoTime(epochMs: number): string {
  return new Date(epochMs).toISOString()
}

/** An instant that is written as UTC without saying so, `2026-01-31 12:00:00`: milliseconds since the epoch. */
export function parseUtcTime(text: string): number | undefined {
  const [, date, time] = /^(\d{4}-\d\d-\d\d)[ T](\d\d:\d\d:\d\d(?:\.\d+)?)$/.exec(text) ?? []
  const epochMs = Date.parse(`${date}T${time}Z`)
  return Number.isNaN(epochMs) ? undefined : epochMs
}

/** An instant in ISO 8601, in milliseconds since the epoch. Throws a RangeError for what is none. */
export function parseInstant(text: string): number {
  const epochMs = Date.parse(text)
  if (Number.isNaN(epochMs)) throw new RangeError(`Cannot read an instant: ${text}`)
  return epochMs
}

/** What `isoTime` wrote, in milliseconds since the epoch. Throws a RangeError for anything else. */
export function parseIsoTime(text: string): number {
  const epochMs = Date.parse(text)
  if (Number.isNaN(epochMs) || isoTime(epochMs) !== text) throw new RangeError(`Cannot read an instant: ${text}`)
  return epochMs
}

/** An instant in milliseconds since the epoch as UTC in ISO 8601: `2026-01-31T12:00:00.000Z`. */
export function isoTime(epochMs: number): string {
  return new Date(epochMs).toISOString()
}

/**
 * How long a Retry-After header asks to wait from `now`, in milliseconds: seconds, or a date (RFC 9110, 10.2.3). Undefined when it
 * is neither; 0 for a date that has passed.
 */
export function parseRetryAfter(text: string, now: number): number | undefined {
  const trimmed = text.trim()
  if (/^\d{1,10}$/.test(trimmed)) return Number(trimmed) * 1_000
  // Only the form that is to be sent: Date.parse alone takes almost anything for a date.
  if (!/^[A-Z][a-z]{2}, \d\d [A-Z][a-z]{2} \d{4} \d\d:\d\d:\d\d GMT$/.test(trimmed)) return undefined
  const at = Date.parse(trimmed)
  return Number.isNaN(at) ? undefined : Math.max(0, at - now)
}

/**
 * Headers of every answer that carries a target's bytes as they are: whatever they are, a browser saves them and neither shows
 * nor runs them, so that no target gets a page, a script or a picture into our origin. They win over the target's own.
 */
export const FOREIGN_BODY_HEADERS = {
  'content-disposition': 'attachment',
  'content-security-policy': "sandbox; default-src 'none'; frame-ancestors 'none'",
  'x-content-type-options': 'nosniff',
  'cross-origin-resource-policy': 'same-origin',
} as const satisfies Readonly<Record<string, string>>

/** What a header of a target is called in an answer of ours, unless it is one of those that come through as they are. */
const PREFIX = 'cbtor-target-'

/**
 * Headers of a target that come through under their own name: they describe the bytes, and nobody acts on them but whoever
 * asked. A list of these and not of the others: browsers learn new headers every year that set something for the origin they
 * come from (cookies, policies, reports, stored data), make a client load or follow something by itself, around Tor
 * (`Location`, `Link`, `Refresh`), or ask for a password.
 */
const OF_THE_BYTES: ReadonlySet<string> = new Set([
  'accept-ranges',
  'content-encoding',
  'content-language',
  'content-range',
  'content-type',
  'etag',
  'last-modified',
  'retry-after',
])

/** The name under which a target's header stands in an answer of ours; undefined when it is dropped, as one that poses as ours. */
export function foreignHeaderName(name: string): string | undefined {
  const lower = name.toLowerCase()
  if (lower.startsWith('cbtor-')) return undefined
  return OF_THE_BYTES.has(lower) ? lower : `${PREFIX}${lower}`
}

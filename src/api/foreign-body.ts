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

/**
 * Headers of a target that never come through under their own name: they would speak for our origin (cookies, policies, reports,
 * stored data, other ways to reach us) or for our connection.
 */
const NOT_OF_A_TARGET: ReadonlySet<string> = new Set([
  ...Object.keys(FOREIGN_BODY_HEADERS),
  ...['set-cookie', 'set-cookie2', 'clear-site-data', 'strict-transport-security', 'public-key-pins', 'alt-svc'],
  ...['content-security-policy-report-only', 'nel', 'report-to', 'reporting-endpoints', 'expect-ct', 'origin-trial'],
  ...['link', 'refresh', 'location', 'service-worker-allowed', 'sourcemap', 'x-sourcemap', 'speculation-rules'],
  ...['www-authenticate', 'proxy-authenticate', 'authentication-info', 'proxy-authentication-info'],
  ...['connection', 'keep-alive', 'proxy-connection', 'transfer-encoding', 'te', 'trailer', 'upgrade'],
])

/** Whether a target's header may stand in an answer of ours. CORS, permissions and our own names are never a target's to set. */
export function mayComeThrough(name: string): boolean {
  const lower = name.toLowerCase()
  return !NOT_OF_A_TARGET.has(lower) && !/^(?:access-control-|cross-origin-|permissions-policy|cbtor-)/.test(lower)
}

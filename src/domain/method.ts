/** RFC 9110, section 9.2.2. TRACE is not sent at all. */
const IDEMPOTENT = new Set(['GET', 'HEAD', 'OPTIONS', 'PUT', 'DELETE'])

/** Whether sending it twice does what sending it once does. */
export function isIdempotent(method: string): boolean {
  return IDEMPOTENT.has(method)
}

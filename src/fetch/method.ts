import { CbtorError } from '../domain/errors.ts'
import { printable } from '../lib/printable.ts'

/** RFC 9110, section 5.6.2: token. */
const METHOD = /^[!#$%&'*+.^_`|~0-9A-Za-z-]{1,32}$/
/** A tunnel is no exchange, and TRACE would show to the target's side what is meant to stay between us and it. */
const REFUSED_METHODS = new Set(['CONNECT', 'TRACE', 'TRACK'])

/** Throws `invalid_input` for a method that cannot be sent, or must not be. */
export function checkMethod(method: string): void {
  if (METHOD.test(method) && !REFUSED_METHODS.has(method.toUpperCase())) return
  throw new CbtorError('invalid_input', `Cannot send the request: its method cannot be used: "${printable(method)}"`)
}

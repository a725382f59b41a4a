import { domainToUnicode } from 'node:url'

/** RFC 1035, section 2.3.4, without the root's dot. */
const MAX_NAME_LENGTH = 253
/** Letters, digits and inner hyphens, 63 at most: RFC 1123, section 2.1. */
const LABEL = /^(?!-)[a-z0-9-]{1,63}(?<!-)$/

/** Names of Tor's own notation: an exit chosen by name, and no connection at all. They are no hosts. */
const TOR_NOTATION = /\.(?:exit|noconnect)$/

/** Names that mean something on the network of whoever resolves them: RFC 6761, RFC 6762, RFC 8375, ICANN's .internal. */
const LOCAL_NAME = /(?:^|\.)(?:localhost|local|internal|lan|home\.arpa)$/

/** Why `name` (lower case, A-labels, no trailing dot) cannot be the name of a host; undefined when it can. */
export function hostNameFault(name: string): string | undefined {
  if (name.length > MAX_NAME_LENGTH) return `it has ${name.length} characters of at most ${MAX_NAME_LENGTH}`
  if (!name.split('.').every((label) => LABEL.test(label))) {
    return 'a label is empty, longer than 63 characters, or has other characters than letters, digits and inner hyphens'
  }
  if (!hasReadablePunycode(name)) return 'a label that begins with xn-- is not punycode'
  if (TOR_NOTATION.test(name)) return 'it is a notation of Tor and not a host'
  return undefined
}

/** Whether the name is of the local network of whoever resolves it, rather than of the internet. */
export function isLocalName(name: string): boolean {
  return !name.includes('.') || LOCAL_NAME.test(name)
}

/** The URL parser lets through xn-- labels that decode to nothing; converting to Unicode leaves those as they are. */
function hasReadablePunycode(name: string): boolean {
  if (!name.includes('xn--')) return true
  return domainToUnicode(name)
    .split('.')
    .every((label) => label !== '' && !label.startsWith('xn--'))
}

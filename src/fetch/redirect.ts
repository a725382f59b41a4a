import { CbtorError } from '../domain/errors.ts'
import type { FetchRequest } from '../domain/exchange.ts'
import type { ResponseHead } from './exchange.ts'
import { requireChoice } from './exit-demand.ts'
import { type HeaderList, valuesOf, withoutHeaders } from './headers.ts'
import type { CheckedUrl, TargetPolicy } from './target-policy.ts'

/** One request of a chain of redirects. */
export interface Hop {
  readonly to: CheckedUrl
  readonly method: string
  readonly headers: HeaderList
  readonly body: Uint8Array | undefined
}

export type RedirectRules = Pick<FetchRequest, 'allowDowngrade' | 'allowOnionToClearnet' | 'exitRule'>

const REDIRECTS = new Set([301, 302, 303, 307, 308])
/** Bare and secret things: no business of another origin's. */
const OF_THE_ORIGIN = new Set(['authorization', 'cookie', 'cookie2', 'referer', 'origin'])
/** Headers of the body, which go with it. */
const OF_THE_BODY = new Set(['content-encoding', 'content-language', 'content-location', 'content-type'])

export function isRedirect(head: ResponseHead): boolean {
  return REDIRECTS.has(head.status) && valuesOf(head.headers, 'location').length > 0
}

/**
 * The request that follows `hop` when the answer is the redirect `head`: Fetch Standard, "HTTP-redirect fetch". Throws
 * `redirect_forbidden` when it leads where `policy` and `rules` do not let it go, or nowhere.
 */
export function nextHop(hop: Hop, head: ResponseHead, policy: TargetPolicy, rules: RedirectRules): Hop {
  const to = locationOf(hop.to.url, head, policy)
  if (hop.to.url.protocol === 'https:' && to.url.protocol === 'http:' && !rules.allowDowngrade) {
    throw forbidden('it leads from https to http')
  }
  if (hop.to.isOnion && !to.isOnion && !rules.allowOnionToClearnet) {
    throw forbidden('it leads from an onion service to the clearnet')
  }
  if (rules.exitRule) requireChoice(to.target.host)

  const dropsBody = becomesGet(head.status, hop.method)
  const isSameOrigin = to.url.origin === hop.to.url.origin
  let headers = hop.headers
  if (dropsBody) headers = withoutHeaders(headers, OF_THE_BODY)
  if (!isSameOrigin) headers = withoutHeaders(headers, OF_THE_ORIGIN)
  return { to, headers, method: dropsBody ? 'GET' : hop.method, body: dropsBody ? undefined : hop.body }
}

function becomesGet(status: number, method: string): boolean {
  if (status === 303) return method !== 'GET' && method !== 'HEAD'
  return (status === 301 || status === 302) && method === 'POST'
}

function locationOf(from: URL, head: ResponseHead, policy: TargetPolicy): CheckedUrl {
  const [location = '', ...others] = new Set(valuesOf(head.headers, 'location'))
  if (others.length > 0) throw forbidden('it names several locations')
  // Header bytes are read as ISO 8859-1; targets that send a bare URL mean UTF-8.
  const text = Buffer.from(location, 'latin1').toString()
  if (/\p{Cc}/u.test(text)) throw forbidden('its location has a control character')
  const url = URL.parse(text, from.href)
  if (url === null) throw forbidden('its location is not a URL')
  if (url.hash === '') url.hash = from.hash
  try {
    return policy.checkUrl(url.href)
  } catch (cause) {
    throw cause instanceof CbtorError ? forbidden(cause.message, cause) : cause
  }
}

function forbidden(reason: string, cause?: CbtorError): CbtorError {
  return new CbtorError('redirect_forbidden', `Cannot follow the redirect: ${reason}`, { cause })
}

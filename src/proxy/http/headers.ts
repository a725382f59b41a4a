import { tellsOfClient } from '../../lib/telling-header.ts'

export type HeaderList = readonly (readonly [name: string, value: string])[]

/** RFC 9110 section 7.6.1, what RFC 2616 counted among them, and Host, which the URL says. */
const OF_THE_CONNECTION =
  /^(?:connection|keep-alive|proxy-.*|te|trailer|transfer-encoding|upgrade|http2-settings|expect|host|max-forwards)$/
/** Of an answer: of the connection, or what only a proxy may say to its client. Nobody but us can say that we failed. */
const OF_THE_HOP = /^(?:connection|keep-alive|proxy-.*|te|trailer|transfer-encoding|upgrade|(?:x-)?cbtor-.*)$/

/** Pairs of what Node has as a flat list. */
export function headerList(raw: readonly string[]): HeaderList {
  const list: [string, string][] = []
  for (let at = 0; at + 1 < raw.length; at += 2) list.push([raw[at] ?? '', raw[at + 1] ?? ''])
  return list
}

/** All values of `name`, which is in lower case. */
export function valuesOf(headers: HeaderList, name: string): readonly string[] {
  return headers.filter(([other]) => other.toLowerCase() === name).map(([, value]) => value)
}

/** What of a request goes on to the target, in the client's order and case. */
export function forwardedHeaders(headers: HeaderList): HeaderList {
  const named = namedByConnection(headers)
  return headers.filter(([name]) => {
    const lower = name.toLowerCase()
    return !OF_THE_CONNECTION.test(lower) && !tellsOfClient(lower) && !named.has(lower)
  })
}

/** What of an answer goes back to the client, in the target's order and case. */
export function answeredHeaders(headers: HeaderList): HeaderList {
  const named = namedByConnection(headers)
  return headers.filter(([name]) => {
    const lower = name.toLowerCase()
    return !OF_THE_HOP.test(lower) && !named.has(lower)
  })
}

/**
 * The headers that are of this connection only because the message says so. Length and kind of a body are not among them,
 * whatever it says: dropping one would make another message of it.
 */
function namedByConnection(headers: HeaderList): ReadonlySet<string> {
  const names = [...valuesOf(headers, 'connection'), ...valuesOf(headers, 'proxy-connection')]
    .flatMap((value) => value.toLowerCase().split(','))
    .map((name) => name.trim())
  return new Set(names.filter((name) => !name.startsWith('content-')))
}

/** A host and port as Tor writes them: a name, an address, the path of a unix socket, or `(Tor_internal)`. */
export interface Endpoint {
  /** IPv6 without brackets. */
  readonly host: string
  /** 0 where there is none: in a request to resolve a name, say. */
  readonly port: number
}

const PORT = /^\d{1,5}$/

/** Tor does not bracket IPv6 in events (`2001:db8::1:80`), so the port is what follows the last colon. Total. */
export function parseEndpoint(text: string): Endpoint {
  const colon = text.lastIndexOf(':')
  const hasPort = colon !== -1 && PORT.test(text.slice(colon + 1))
  const host = hasPort ? text.slice(0, colon) : text
  return {
    host: host.startsWith('[') && host.endsWith(']') ? host.slice(1, -1) : host,
    port: hasPort ? Number(text.slice(colon + 1)) : 0,
  }
}

/** A host and port as Tor writes them: a name, an address, the path of a unix socket, or `(Tor_internal)`. */
export interface Endpoint {
  /** IPv6 without brackets. */
  readonly host: string
  /** 0 where there is none: in a request to resolve a name, say. */
  readonly port: number
}

/** Tor does not bracket IPv6 in events (`2001:db8::1:80`), so the port is what follows the last colon. Total. */
export function parseEndpoint(text: string): Endpoint {
  const [, host = text, port = '0'] = /^(.*):(\d{1,5})$/s.exec(text) ?? []
  return { host: host.replace(/^\[(.*)\]$/s, '$1'), port: Number(port) }
}

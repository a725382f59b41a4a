import { Agent, request as undiciRequest } from 'undici'
import { httpPrefix } from './base-url.ts'
import type { Transport } from './transport.ts'

const UNIX = /^unix:(\/.+)$/
/** A target's headers are that many in `fetch/raw`, and their names longer than they were. */
const MAX_HEADER_BYTES = 256 * 1024

/** Where the service listens, and what it shows. */
export interface ServiceAddress {
  readonly baseUrl: string
  readonly certificate?: string | undefined
}

/**
 * For Node: knows unix sockets and pinned certificates, decodes nothing, tells trailers, and waits for as long as the service does:
 * the platform's `fetch` gives up after 300 s without headers, which a fetch through Tor may take.
 */
export function undiciTransport({ baseUrl, certificate }: ServiceAddress): Transport {
  const pinned = certificate && { ca: certificate, allowPartialTrustChain: true, checkServerIdentity: () => undefined }
  const [, socketPath] = UNIX.exec(baseUrl) ?? []
  const prefix = socketPath === undefined ? httpPrefix(baseUrl) : 'http://localhost'
  const connect = { ...pinned, ...(socketPath && { socketPath }) }
  const dispatcher = new Agent({ headersTimeout: 0, bodyTimeout: 0, maxHeaderSize: MAX_HEADER_BYTES, connect })
  return async ({ path, ...init }) => {
    const { statusCode, headers, body, trailers } = await undiciRequest(`${prefix}${path}`, { ...init, dispatcher })
    body.on('error', () => {}) // whoever reads it is told; who destroyed it need not be
    return { status: statusCode, headers, body, trailers }
  }
}

/** The client of the API for Node: `cbtor/client` there. `portable.ts` is the same for other platforms. */
import type { ApiClient } from './api-client.ts'
import { clientOver } from './client-over.ts'
import type { Transport } from './transport.ts'
import { undiciTransport } from './undici-transport.ts'

export type * from './api-client.ts'
export { ApiProblem, ApiUnreachable } from './api-problem.ts'
export type * from './openapi.ts'
export type { ByteStream, Transport, TransportAnswer, TransportRequest } from './transport.ts'

/** Where the service is, and who asks. */
export interface ApiClientOptions {
  /** Where the service listens: `http://127.0.0.1:32211`, `unix:/run/cbtor.sock`. */
  readonly baseUrl: string
  /** The only certificate that the service may show, in PEM, whatever names it has; those of known authorities when left out. */
  readonly certificate?: string | undefined
  /** What every request shows; none where the service asks for none. */
  readonly key?: string | undefined
  /** Instead of the sockets of this machine. */
  readonly transport?: Transport
}

/** A client of the service at `baseUrl`. It connects when it is called, and needs no closing. */
export function createApiClient(options: ApiClientOptions): ApiClient {
  const { baseUrl, key, transport = undiciTransport(options) } = options
  return clientOver(transport, { baseUrl, key })
}

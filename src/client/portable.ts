/** The client of the API for browsers, Deno, Bun and whatever else has `fetch`: `cbtor/client` there. It depends on nothing. */
import type { ApiClient } from './api-client.ts'
import { clientOver } from './client-over.ts'
import { fetchTransport, type PlatformFetch } from './fetch-transport.ts'

export type * from './api-client.ts'
export { ApiProblem, ApiUnreachable } from './api-problem.ts'
export type { PlatformFetch } from './fetch-transport.ts'
export type * from './openapi.ts'
export type { ByteStream } from './transport.ts'

/** Where the service is, and who asks. */
export interface ApiClientOptions {
  /** Where the service listens: `https://cbtor.lan:32211`. */
  readonly baseUrl: string
  /** What every request shows; none where the service asks for none. */
  readonly key?: string | undefined
  /** Instead of the platform's own. */
  readonly fetch?: PlatformFetch
}

/** A client of the service at `baseUrl`. It connects when it is called, and needs no closing. */
export function createApiClient({ baseUrl, key, fetch = globalThis.fetch }: ApiClientOptions): ApiClient {
  return clientOver(fetchTransport(baseUrl, fetch), { baseUrl, key })
}

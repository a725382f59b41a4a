import { httpPrefix } from './base-url.ts'
import type { ByteStream, Transport } from './transport.ts'

/** As much of the platform's `fetch` as is needed. */
export type PlatformFetch = (
  url: string,
  init: {
    method: string
    headers: Record<string, string>
    body?: string
    signal?: AbortSignal
    redirect: 'error'
  },
) => Promise<Pick<Response, 'status' | 'headers' | 'body'>>

/**
 * For any platform with `fetch`. That decodes bodies by itself, so `fetchRaw` gives them decoded; it tells no trailers, and how
 * long it waits is its own affair.
 */
export function fetchTransport(baseUrl: string, fetch: PlatformFetch): Transport {
  const prefix = httpPrefix(baseUrl)
  return async ({ path, headers, ...init }) => {
    const answer = await fetch(`${prefix}${path}`, { ...init, headers: { ...headers }, redirect: 'error' })
    return {
      status: answer.status,
      headers: Object.fromEntries(answer.headers),
      body: byteStream(answer.body),
      trailers: {},
    }
  }
}

/** Not every platform's streams can be iterated over. */
function byteStream(stream: Response['body']): ByteStream {
  const reader = stream?.getReader()
  return {
    destroy: () => reader?.cancel(),
    async *[Symbol.asyncIterator]() {
      try {
        for (let part = await reader?.read(); part?.value !== undefined; part = await reader?.read()) yield part.value
      } finally {
        await reader?.cancel()
      }
    },
  }
}

import { request as httpRequest } from 'node:http'
import { connect } from 'node:net'
import { connect as connectTls } from 'node:tls'
import { onAbort } from '../lib/abort.ts'
import type { TracesConfig } from './traces-config.ts'

/**
 * Posts to the collector that the operator has named, by its IP address and without Tor: nothing is resolved, no redirect is followed, and
 * the body of the answer is not read. Resolves with its status; rejects with why there is none, or with the signal's reason.
 */
export async function postToCollector(
  { host, port, path, tls, headers }: TracesConfig['collector'],
  body: string,
  signal: AbortSignal,
): Promise<number> {
  signal.throwIfAborted()
  const { promise, resolve, reject } = Promise.withResolvers<number>()
  const socket = tls === undefined ? connect({ host, port }) : connectTls({ host, port, ...(tls.ca && { ca: tls.ca }) })
  using _ = onAbort(signal, reject)
  try {
    const request = httpRequest(
      {
        method: 'POST',
        ...{ host, port, path },
        headers: { ...headers, 'content-type': 'application/json', connection: 'close' },
        createConnection: () => socket,
      },
      (response) => resolve(response.statusCode ?? 0),
    )
    request.once('error', reject)
    request.end(body)
    return await promise
  } finally {
    socket.destroy()
  }
}

import { request as httpRequest } from 'node:http'
import { connect } from 'node:net'
import { onAbort } from '../lib/abort.ts'
import type { LocalTarget } from './local-receivers.ts'

/**
 * Posts to an address that the operator has listed, without Tor: nothing is resolved, no redirect is followed, and the body of the
 * answer is not read. Resolves with its status; rejects with why there is none, or with the signal's reason.
 */
export async function postLocally(
  { host, port, path }: LocalTarget,
  headers: Readonly<Record<string, string>>,
  body: string,
  signal: AbortSignal,
): Promise<number> {
  signal.throwIfAborted()
  const { promise, resolve, reject } = Promise.withResolvers<number>()
  const socket = connect({ host, port })
  using _ = onAbort(signal, reject)
  try {
    const request = httpRequest(
      {
        method: 'POST',
        host,
        port,
        path,
        headers: { ...headers, connection: 'close' },
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

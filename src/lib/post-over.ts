import { request as httpRequest } from 'node:http'
import type { Socket } from 'node:net'
import { onAbort } from './abort.ts'

export interface Post {
  readonly host: string
  readonly port: number
  readonly path: string
  readonly headers: Readonly<Record<string, string>>
  readonly body: string
}

/**
 * Posts over a socket that connects, and destroys it: no redirect is followed, and the body of the answer is not read. Resolves with the
 * answer's status; rejects with why there is none, or with the signal's reason.
 */
export async function postOver(
  socket: Socket,
  { host, port, path, headers, body }: Post,
  signal: AbortSignal,
): Promise<number> {
  const { promise, resolve, reject } = Promise.withResolvers<number>()
  using _ = onAbort(signal, reject)
  try {
    const request = httpRequest(
      {
        method: 'POST',
        ...{ host, port, path },
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

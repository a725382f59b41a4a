import type { IncomingMessage } from 'node:http'
import { PassThrough, type Readable } from 'node:stream'
import { clientGone } from '../client-bytes.ts'

/**
 * The body of a request, if it has one, to be read at the reader's pace. Whoever destroys it does not destroy the client's
 * connection, as the request itself would; what still comes of it is then thrown away.
 */
export function bodyOf(request: IncomingMessage): Readable | undefined {
  const { 'content-length': length, 'transfer-encoding': coding } = request.headers
  if (coding === undefined && Number(length ?? 0) === 0) return undefined
  const body = new PassThrough()
  body.on('error', () => {})
  body.once('close', () => {
    request.unpipe(body)
    request.resume()
  })
  request.on('error', () => {})
  request.once('close', () => {
    if (!request.complete) body.destroy(clientGone())
  })
  request.pipe(body)
  return body
}

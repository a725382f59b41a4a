import { pipeline } from 'node:stream/promises'
import { createGzip } from 'node:zlib'
import { type Exchange, type Routes, wholeNumber } from './exchange.ts'

const MIB = Buffer.alloc(1024 * 1024)
const BOMB_MIB = 1024

/** What a client meets on the real web and must survive. */
export const faultRoutes: Routes = [
  // The connection ends, orderly, without an answer.
  [/^\/close$/, ({ request }) => request.socket.end()],
  // The connection is reset without an answer.
  [/^\/reset$/, ({ request }) => request.socket.resetAndDestroy()],
  [/^\/garbage$/, ({ request }) => request.socket.end('this is not HTTP\r\n\r\n')],
  [/^\/truncate$/, truncate],
  [/^\/bomb$/, bomb],
  [/^\/endless$/, endless],
]

/** A body of 10 bytes that promised to be 1000. */
function truncate({ response }: Exchange): void {
  response.writeHead(200, { 'content-type': 'text/plain', 'content-length': 1000 })
  response.write('only this\n', () => response.socket?.end())
}

/** `/bomb?mib=N`: N MiB of zeros (1 GiB unless told), a thousandth of that on the wire. */
async function bomb({ url, response, signal }: Exchange): Promise<void> {
  const mib = wholeNumber(url.searchParams.get('mib') ?? `${BOMB_MIB}`, 'mib', 1, 1024 * 1024)
  response.writeHead(200, { 'content-type': 'text/plain', 'content-encoding': 'gzip' })
  await pipeline(repeat(MIB, mib), createGzip(), response, { signal })
}

/** A chunked body that does not end. */
async function endless({ response, signal }: Exchange): Promise<void> {
  response.writeHead(200, { 'content-type': 'text/plain' })
  await pipeline(repeat(Buffer.alloc(16 * 1024, 'and so on '), Number.POSITIVE_INFINITY), response, { signal })
}

function* repeat(chunk: Buffer, times: number): Generator<Buffer> {
  for (let count = 0; count < times; count++) yield chunk
}

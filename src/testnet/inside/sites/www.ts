import { buffer } from 'node:stream/consumers'
import { pipeline } from 'node:stream/promises'
import { brotliCompressSync, deflateSync, gzipSync } from 'node:zlib'
import { BadRequest, type Exchange, type Routes, rawHeaderList, send, sendJson, wholeNumber } from './exchange.ts'
import { pseudoRandomBytes } from './pseudo-random.ts'

const MAX_BYTES = 100 * 1024 * 1024
const MAX_REQUEST_BODY = 16 * 1024 * 1024
const MAX_DELAY_MS = 600_000
const DRIP_EVERY_MS = 100
const ETAG = '"cbtor-test-page"'

const PAGE = `<!doctype html>
<html lang="en">
<head><meta charset="utf-8"><title>The CBTOR test network</title></head>
<body><h1>It works</h1><p>This page was served inside the private Tor network.</p></body>
</html>
`

/** A site in the manner of httpbin: what a client sent, and answers of every wanted kind. */
export const wwwRoutes: Routes = [
  [/^\/$/, ({ response }) => send(response, 'text/html; charset=utf-8', PAGE)],
  [/^\/bytes\/([^/]+)$/, bytes],
  [/^\/delay\/([^/]+)$/, delay],
  [/^\/drip$/, drip],
  [/^\/status\/([^/]+)$/, status],
  [/^\/ip$/, (exchange) => sendJson(exchange, { ip: exchange.sourceAddress })],
  [
    /^\/headers$/,
    (exchange) => {
      const { request } = exchange
      sendJson(exchange, { headers: request.headers, rawHeaders: rawHeaderList(request) })
    },
  ],
  [/^\/anything(?:\/.*)?$/, anything],
  [/^\/redirect\/([^/]+)$/, redirect],
  [/^\/redirect-to$/, redirectTo],
  [/^\/cookies$/, (exchange) => sendJson(exchange, { cookies: parseCookies(exchange.request.headers.cookie) })],
  [/^\/cookies\/set$/, setCookies],
  [/^\/gzip$/, (exchange) => compressed(exchange, 'gzip', gzipSync)],
  [/^\/deflate$/, (exchange) => compressed(exchange, 'deflate', deflateSync)],
  [/^\/brotli$/, (exchange) => compressed(exchange, 'br', brotliCompressSync)],
  [/^\/etag$/, etag],
  [/^\/response-headers$/, responseHeaders],
  [/^\/basic-auth$/, basicAuth],
]

/** `/bytes/N?seed=S`: N pseudo-random bytes, the same for the same N and seed. */
async function bytes({ captured, url, response, signal }: Exchange): Promise<void> {
  const count = wholeNumber(captured[0], 'the number of bytes', 0, MAX_BYTES)
  response.writeHead(200, { 'content-type': 'application/octet-stream', 'content-length': count })
  await pipeline(pseudoRandomBytes(count, url.searchParams.get('seed') ?? ''), response, { signal })
}

/** `/delay/MS`: answers after that time. */
async function delay(exchange: Exchange): Promise<void> {
  const delayMs = wholeNumber(exchange.captured[0], 'the delay', 0, MAX_DELAY_MS)
  await exchange.clock.sleep(delayMs, exchange.signal)
  sendJson(exchange, { delayMs })
}

/** `/drip?bytes=N&ms=T`: headers at once, then N bytes spread over T milliseconds. */
async function drip({ url, response, clock, signal }: Exchange): Promise<void> {
  const count = wholeNumber(url.searchParams.get('bytes'), 'bytes', 0, MAX_BYTES)
  const ms = wholeNumber(url.searchParams.get('ms'), 'ms', 0, MAX_DELAY_MS)
  response.writeHead(200, { 'content-type': 'application/octet-stream', 'content-length': count })
  response.flushHeaders()
  const steps = Math.max(1, Math.ceil(ms / DRIP_EVERY_MS))
  let sent = 0
  for (let step = 1; step <= steps; step++) {
    await clock.sleep(ms / steps, signal)
    const upTo = Math.floor((count * step) / steps)
    response.write(Buffer.alloc(upTo - sent, '*'))
    sent = upTo
  }
  response.end()
}

/** `/status/N`: an answer of that status. */
function status({ captured, response }: Exchange): void {
  const code = wholeNumber(captured[0], 'the status', 200, 599)
  response.statusCode = code
  if (code === 204 || code === 304) response.end()
  else send(response, 'text/plain', `${code}\n`)
}

/** `/anything/…`: all that was received. */
async function anything(exchange: Exchange): Promise<void> {
  const { request, url, sourceAddress } = exchange
  if (Number(request.headers['content-length'] ?? 0) > MAX_REQUEST_BODY) {
    throw new BadRequest(`Cannot echo the body: it is larger than ${MAX_REQUEST_BODY} bytes`)
  }
  const body = await buffer(request)
  sendJson(exchange, {
    method: request.method,
    url: url.href,
    headers: request.headers,
    rawHeaders: rawHeaderList(request),
    body: body.toString('utf8'),
    bodyBase64: body.toString('base64'),
    sourceAddress,
  })
}

/** `/redirect/N`: N redirects to go. */
function redirect(exchange: Exchange): void {
  const left = wholeNumber(exchange.captured[0], 'the number of redirects', 0, 1000)
  if (left === 0) sendJson(exchange, { arrived: true })
  else exchange.response.writeHead(302, { location: `/redirect/${left - 1}`, 'content-length': 0 }).end()
}

/** `/redirect-to?url=U&status=N`: the Location is exactly U, whatever that is. */
function redirectTo({ url, response }: Exchange): void {
  const location = url.searchParams.get('url')
  if (location === null || /[^\x20-\x7e]/.test(location)) {
    throw new BadRequest('Cannot redirect: the url parameter is missing or not printable ASCII')
  }
  const code = wholeNumber(url.searchParams.get('status') ?? '302', 'status', 300, 399)
  response.writeHead(code, { location, 'content-length': 0 }).end()
}

/** `/cookies/set?name=value&…`: sets them and leads to `/cookies`. */
function setCookies({ url, response }: Exchange): void {
  const cookies = [...url.searchParams].map(
    ([name, value]) => `${encodeURIComponent(name)}=${encodeURIComponent(value)}; Path=/`,
  )
  response.writeHead(302, { location: '/cookies', 'set-cookie': cookies, 'content-length': 0 }).end()
}

function parseCookies(header: string | undefined): Record<string, string> {
  const pairs = (header ?? '').split(/; */).filter((pair) => pair.includes('='))
  return Object.fromEntries(
    pairs.map((pair) => {
      const [name = '', ...value] = pair.split('=')
      return [name, value.join('=')]
    }),
  )
}

/** `/gzip`, `/deflate`, `/brotli`: compressed, whether or not the client accepts it. */
function compressed({ request, response }: Exchange, encoding: string, compress: (text: string) => Buffer): void {
  response.setHeader('content-encoding', encoding)
  send(response, 'application/json', compress(`${JSON.stringify({ encoding, headers: request.headers })}\n`))
}

/** `/etag`: 304 to whoever has the page already. */
function etag({ request, response }: Exchange): void {
  response.setHeader('etag', ETAG)
  if (request.headers['if-none-match'] === ETAG) response.writeHead(304).end()
  else send(response, 'text/plain', 'The same for ever.\n')
}

/** `/response-headers?name=value&…`: an answer with these headers. */
function responseHeaders(exchange: Exchange): void {
  const headers = [...exchange.url.searchParams]
  if (headers.some((header) => !/^[\x20-\x7e]+$/.test(header.join('')))) {
    throw new BadRequest('Cannot answer: a header is not printable ASCII')
  }
  for (const [name, value] of headers) exchange.response.appendHeader(name, value)
  sendJson(exchange, { headers })
}

/** `/basic-auth`: asks everybody who has no credentials for some, and takes any. */
function basicAuth(exchange: Exchange): void {
  const { request, response } = exchange
  const { authorization } = request.headers
  if (authorization === undefined) {
    response.statusCode = 401
    response.setHeader('www-authenticate', 'Basic realm="cbtor-test"')
  }
  sendJson(exchange, { authorization: authorization ?? null })
}

import type { FastifyReply, FastifyRequest } from 'fastify'
import { CbtorError } from '../../domain/errors.ts'
import { printable } from '../../lib/printable.ts'
import type { ApiApp } from '../app.ts'
import { chosenEncoding, type PageFile, type PageFiles } from './page-files.ts'

/** Everything comes from here, and nothing that stands in the page itself is run: not even what a hostile relay's nickname says. */
const PAGE_POLICY = [
  "default-src 'none'",
  "script-src 'self'",
  "style-src 'self'",
  "connect-src 'self'",
  "img-src 'self' data:",
  "font-src 'self'",
  "base-uri 'none'",
  "form-action 'none'",
  "frame-ancestors 'none'",
  // No text becomes markup or script, by whatever way it comes to it.
  "require-trusted-types-for 'script'",
  "trusted-types 'none'",
].join('; ')

/** Names of files tell their content. */
const FOR_EVER = 'public, max-age=31536000, immutable'

const NOT_BUILT = `<!doctype html>
<html lang="en">
  <head>
    <meta charset="utf-8">
    <title>CBTOR</title>
    <meta name="viewport" content="width=device-width, initial-scale=1">
    <link rel="icon" href="data:,">
  </head>
  <body>
    <h1>CBTOR runs</h1>
    <p>Its page is not built: <code>npm run setup</code> builds it, and it is there from the next start.
    Until then, <code>cbtor status</code> tells the same, and the <a href="/docs">API</a> does. There is a <a href="/manual">manual</a>.</p>
  </body>
</html>
`

/** For programs that have nothing but the address. */
const WHERE = {
  name: 'cbtor',
  api: '/api/v1',
  manual: '/manual',
  docs: '/docs',
  redoc: '/redoc',
  openapi: '/openapi.json',
  health: '/api/v1/health',
  events: '/api/v1/events',
  metrics: '/metrics',
}

/** The page for people, at `/` for browsers, who say that they want HTML; programs are told where things are. */
export function pageRoutes(app: ApiApp, files: PageFiles | undefined): void {
  app.get('/', { schema: { hide: true } }, async (request, reply) => {
    reply.header('vary', 'accept')
    if (!/\btext\/html\b/i.test(request.headers.accept ?? '')) return WHERE
    reply.header('content-security-policy', PAGE_POLICY)
    const page = files?.get('index.html')
    if (page === undefined) return reply.code(503).type('text/html; charset=utf-8').send(NOT_BUILT)
    return send(page, request, reply.header('vary', 'accept, accept-encoding'))
  })

  app.get<{ Params: { '*': string } }>('/page/*', { schema: { hide: true } }, async (request, reply) => {
    const { '*': name } = request.params
    const file = files?.get(name)
    if (file === undefined || name === 'index.html') {
      throw new CbtorError('not_found', `Cannot find the file: the page has no "${printable(name)}"`)
    }
    return send(file, request, reply.header('vary', 'accept-encoding').header('cache-control', FOR_EVER))
  })
}

function send(file: PageFile, request: FastifyRequest, reply: FastifyReply): FastifyReply {
  const [encoding, bytes] = chosenEncoding(file, String(request.headers['accept-encoding'] ?? ''))
  if (encoding !== undefined) reply.header('content-encoding', encoding)
  return reply.type(file.type).send(bytes)
}

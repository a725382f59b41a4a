import type { FastifyReply, FastifyRequest } from 'fastify'
import { z } from 'zod'
import { CbtorError } from '../../domain/errors.ts'
import { printable } from '../../lib/printable.ts'
import type { ApiApp } from '../app.ts'
import { Manual, type Served } from './manual.ts'

/** The pages have neither script nor anything of elsewhere; the search is a form. */
const PAGE_POLICY = [
  "default-src 'none'",
  "style-src 'self'",
  "img-src 'self' data:",
  "form-action 'self'",
  "base-uri 'none'",
  "frame-ancestors 'none'",
].join('; ')
/** A picture that is looked at alone has styles of its own, and still no script. */
const PICTURE_POLICY = "default-src 'none'; style-src 'unsafe-inline'; frame-ancestors 'none'"

/** The manual: `docs` as pages, the same in every installation of a version. */
export function manualRoutes(app: ApiApp): void {
  let manual: Manual | undefined
  const theManual = () => {
    manual ??= new Manual()
    return manual
  }

  app.get('/manual', { schema: { hide: true } }, (request, reply) => send('', request, reply))
  app.get('/manual/', { schema: { hide: true } }, (request, reply) => send('', request, reply))
  app.get('/manual/*', { schema: { hide: true } }, (request, reply) => {
    const { '*': path = '' } = request.params as Record<string, string | undefined>
    return send(path, request, reply)
  })
  app.get(
    '/manual/search',
    { schema: { hide: true, querystring: z.object({ q: z.string().default('') }) } },
    async (request, reply) => {
      const page = await theManual().search(request.query.q)
      return reply.header('content-security-policy', PAGE_POLICY).type('text/html; charset=utf-8').send(page)
    },
  )

  async function send(path: string, request: FastifyRequest, reply: FastifyReply): Promise<FastifyReply> {
    const served = await theManual().get(path)
    if (served === undefined) {
      const told = printable(path).slice(0, 100)
      if (request.headers.accept?.includes('text/html')) {
        const page = await theManual().missing(told)
        return reply
          .code(404)
          .header('content-security-policy', PAGE_POLICY)
          .type('text/html; charset=utf-8')
          .send(page)
      }
      throw new CbtorError('not_found', `Cannot find the page "${told}" of the manual: /manual has the list of all`)
    }
    reply
      .header('content-security-policy', served.type === 'image/svg+xml' ? PICTURE_POLICY : PAGE_POLICY)
      .header('cache-control', 'no-cache') // kept, but asked for each time: another version has other pages
      .header('etag', served.etag)
      .type(served.type)
    if (isKnown(request, served)) return reply.code(304).send()
    return reply.send(served.body)
  }
}

function isKnown({ headers }: FastifyRequest, { etag }: Served): boolean {
  const known = headers['if-none-match']?.split(',').map((each) => each.trim().replace(/^W\//, '')) ?? []
  return known.includes(etag) || known.includes('*')
}

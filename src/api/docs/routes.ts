import { createReadStream } from 'node:fs'
import { extname } from 'node:path'
import { fileURLToPath } from 'node:url'
import swagger, { type SwaggerTransformObject } from '@fastify/swagger'
import swaggerUi from '@fastify/swagger-ui'
import { jsonSchemaTransform, jsonSchemaTransformObject } from 'fastify-type-provider-zod'
import type { ApiApp } from '../app.ts'
import '../schemas/problem.ts'
import { finishDocument, KEY_SCHEME, type OpenApiDocument } from './openapi.ts'

/**
 * Both pages are served by us alone and may load nothing from elsewhere: a reader of the documents must not show up in a
 * third party's log (Redoc's mark would come from its maker's server: the policy stops it). Styles are inline in both;
 * Redoc searches in a worker made from a blob.
 */
const PAGE_POLICY = [
  "default-src 'none'",
  "script-src 'self'",
  "style-src 'self' 'unsafe-inline'",
  "img-src 'self' data:",
  "font-src 'self' data:",
  "connect-src 'self'",
  'worker-src blob:',
  "base-uri 'none'",
  "form-action 'none'",
  "frame-ancestors 'none'",
].join('; ')

/** Whose refusals (412, 416) are no problems of ours. As everywhere else here, the whole answer is given in spite of them. */
const NOT_FOR_FILES = ['range', 'if-range', 'if-match', 'if-unmodified-since'] as const

/** The build puts a copy beside this file, as redoc itself is no dependency of the package. */
const REDOC_SCRIPT = fileURLToPath(
  extname(import.meta.url) === '.ts'
    ? import.meta.resolve('redoc/bundles/redoc.standalone.js')
    : new URL('./redoc.standalone.js', import.meta.url),
)
const REDOC_PAGE = `<!doctype html>
<html lang="en">
  <head>
    <meta charset="utf-8">
    <title>CBTOR API</title>
    <meta name="viewport" content="width=device-width, initial-scale=1">
    <link rel="icon" href="data:,">
    <style>body { margin: 0 }</style>
  </head>
  <body>
    <redoc spec-url="/openapi.json"></redoc>
    <script src="/redoc/redoc.js"></script>
  </body>
</html>
`

/** The OpenAPI document of every route that is registered afterwards, and the pages that show it, all of it offline. */
export async function docsRoutes(app: ApiApp): Promise<void> {
  const transformObject: SwaggerTransformObject = (document) => {
    const described = jsonSchemaTransformObject(document)
    finishDocument(described as unknown as OpenApiDocument)
    return described
  }
  await app.register(swagger, {
    openapi: {
      openapi: '3.1.0',
      info: {
        title: 'CBTOR',
        version: '1',
        description:
          'Anonymous web fetching through a load-balanced pool of Tor workers that heals itself. Errors are `application/problem+json` (RFC 9457) with a stable `code`, whose fault it is, and whether a retry makes sense.',
        license: { name: 'MIT', identifier: 'MIT' },
      },
      components: {
        securitySchemes: {
          [KEY_SCHEME]: {
            type: 'http',
            scheme: 'bearer',
            bearerFormat: 'cbt_ID_SECRET',
            description:
              'A key of this service, from `admin.key` in its state directory, or made by `POST /api/v1/keys`. Not asked for where the configuration says `auth: off`.',
          },
        },
      },
      servers: [{ url: '/', description: 'This service.' }],
      tags: [
        { name: 'Core', description: 'Fetching, and the pool.' },
        { name: 'Jobs', description: 'Fetches that take their time.' },
        { name: 'Workers', description: 'Single workers and their Tor.' },
        { name: 'Sessions', description: 'Sticky keys that are in use.' },
        { name: 'Keys', description: 'Who may use the service, and for what.' },
        { name: 'Operation', description: 'What happens in the service, for people and monitoring.' },
      ],
    },
    transform: jsonSchemaTransform,
    transformObject,
  })
  await app.register(async (pages) => {
    pages.addHook('onRequest', async ({ headers }) => {
      for (const name of NOT_FOR_FILES) delete headers[name]
    })
    await pages.register(swaggerUi, {
      routePrefix: '/docs',
      staticCSP: PAGE_POLICY,
      theme: { title: 'CBTOR API' },
      uiConfig: { layout: 'BaseLayout' }, // without the bar that loads other documents
      validatorUrl: false,
    })
  })

  app.get('/openapi.json', { schema: { hide: true } }, async () => app.swagger())
  app.get('/redoc', { schema: { hide: true } }, async (_request, reply) =>
    reply.header('content-security-policy', PAGE_POLICY).type('text/html; charset=utf-8').send(REDOC_PAGE),
  )
  app.get('/redoc/redoc.js', { schema: { hide: true } }, async (_request, reply) =>
    reply.type('text/javascript; charset=utf-8').send(createReadStream(REDOC_SCRIPT)),
  )
}

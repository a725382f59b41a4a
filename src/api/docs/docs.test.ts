import assert from 'node:assert/strict'
import { it } from 'node:test'
import fc from 'fast-check'
import { createTestApp } from '../test-app.ts'
import type { OpenApiDocument } from './openapi.ts'

const METHODS_OF_THE_ORIGINAL = [
  'POST /api/v1/fetch',
  'GET /api/v1/health',
  'POST /api/v1/mode',
  'GET /api/v1/endpoints',
  'GET /api/v1/tor/workers',
  'GET /api/v1/tor/workers/{n}',
  'POST /api/v1/tor/workers/{n}/tor/start',
  'POST /api/v1/tor/workers/{n}/tor/stop',
  'POST /api/v1/tor/workers/{n}/tor/restart',
  'GET /api/v1/tor/status',
  'POST /api/v1/workers/drain',
  'POST /api/v1/workers/enable',
]

const LATER_METHODS = [
  'GET /api/v1/fetch/raw',
  'POST /api/v1/fetch/raw',
  'POST /api/v1/tor/workers/{n}/newnym',
  'GET /api/v1/sessions',
  'GET /api/v1/sessions/{key}',
  'POST /api/v1/sessions/{key}/rotate',
  'DELETE /api/v1/sessions/{key}',
  'POST /api/v1/jobs',
  'GET /api/v1/jobs/{id}/results/{n}',
  'GET /api/v1/events',
  'GET /api/v1/events/stream',
  'GET /metrics',
]

interface Described {
  readonly operationId: string
  readonly summary: string
  readonly description: string
  readonly parameters?: readonly { readonly description?: string; readonly example?: unknown }[]
}

/** Every operation as `[method and path, operation]`. */
function operationsOf(document: OpenApiDocument) {
  return Object.entries(document.paths).flatMap(([path, methods]) =>
    Object.entries(methods).map(([method, operation]): [string, typeof operation & Described] => [
      `${method.toUpperCase()} ${path}`,
      operation as typeof operation & Described,
    ]),
  )
}

it('/openapi.json', async (context) => {
  await using test = await createTestApp()
  const response = await test.app.inject({ url: '/openapi.json' })
  const document: OpenApiDocument & { openapi: string } = response.json()
  const operations = operationsOf(document)

  await context.test('is OpenAPI 3.1 and lists every route', () => {
    assert.equal(document.openapi, '3.1.0')
    const listed = operations.map(([name]) => name)
    for (const name of [...METHODS_OF_THE_ORIGINAL, ...LATER_METHODS]) assert.ok(listed.includes(name), name)
  })

  await context.test('describes each operation, with examples and error answers', () => {
    for (const [name, operation] of operations) {
      assert.ok(operation.operationId && operation.summary && operation.description, name)
      for (const status of ['200', ...('202' in operation.responses ? ['202'] : [])]) {
        const [answer] = Object.values(operation.responses[status]?.content ?? {})
        assert.ok(operation.responses[status]?.description && answer?.schema && answer.example, `${name} ${status}`)
      }
      for (const parameter of operation.parameters ?? []) assert.ok(parameter.description && parameter.example, name)
      const request = operation.requestBody?.content['application/json']
      if (request) assert.ok(Object.keys(request.examples ?? {}).length > 0, name)

      const errors = Object.entries(operation.responses).filter(([status]) => Number(status) >= 400)
      assert.ok(errors.length >= 4, name)
      for (const [status, { description, content }] of errors) {
        assert.ok(description, name)
        const problem = content?.['application/problem+json']
        assert.deepEqual(problem?.schema, { $ref: '#/components/schemas/Problem' })
        for (const { value } of Object.values(problem?.examples ?? {})) {
          assert.equal(String((value as { status: number }).status), status)
        }
      }
    }
    assert.equal(new Set(operations.map(([, { operationId }]) => operationId)).size, operations.length)
  })

  await context.test(
    'refers only to components that exist, has none too many, and nothing of ours is left in it',
    () => {
      const referred = new Set([...response.body.matchAll(/"#\/components\/schemas\/(\w+)"/g)].map(([, name]) => name))
      assert.deepEqual([...referred].sort(), Object.keys(document.components.schemas).sort())
      assert.doesNotMatch(response.body, /x-cbtor|__SCHEMA/)
    },
  )

  await context.test('says which routes take a key, and with which scope, so that its pages can send one', () => {
    const [[scheme, described] = [], ...others] = Object.entries(document.components.securitySchemes ?? {})
    assert.deepEqual([scheme, others], ['key', []])
    assert.deepEqual(
      { ...(described as object), description: '' },
      {
        ...{ type: 'http', scheme: 'bearer', bearerFormat: 'cbt_ID_SECRET', description: '' },
      },
    )
    const scopes = new Map(operations.map(([name, { security }]) => [name, security]))
    assert.deepEqual(scopes.get('GET /healthz'), [])
    assert.deepEqual(scopes.get('POST /api/v1/fetch'), [{ key: ['fetch'] }])
    assert.deepEqual(scopes.get('GET /api/v1/tor/workers/{n}'), [{ key: ['workers:read'] }])
    const keyless = operations.filter(([, { security }]) => security?.length === 0).map(([name]) => name)
    assert.deepEqual(keyless.sort(), ['GET /healthz', 'GET /problems/{code}'])
    for (const [name, { security, responses }] of operations)
      assert.equal('401' in responses, security?.length === 1, name)
  })

  await context.test('says where a body may be left out', () => {
    const required = operations.flatMap(([name, { requestBody }]) =>
      requestBody ? [[name, requestBody.required]] : [],
    )
    assert.deepEqual(Object.fromEntries(required), {
      'POST /api/v1/fetch': true,
      'POST /api/v1/fetch/raw': true,
      'POST /api/v1/keys': true,
      'POST /api/v1/jobs': true,
      'POST /api/v1/mode': true,
      'POST /api/v1/workers/drain': true,
      'POST /api/v1/workers/enable': true,
      'POST /api/v1/tor/workers/{n}/newnym': false,
    })
  })

  await context.test('has examples of requests that are taken as they are', async () => {
    for (const [name, operation] of operations) {
      const [method, path = ''] = name.split(' ')
      for (const { value } of Object.values(operation.requestBody?.content['application/json']?.examples ?? {})) {
        const request = { method: method as 'POST', url: path.replace('{n}', '1'), payload: value as object }
        const { statusCode } = await test.app.inject(request)
        assert.equal(statusCode, name === 'POST /api/v1/jobs' ? 202 : 200, name)
      }
    }
  })
})

it('the pages of the documents', async (context) => {
  await using test = await createTestApp()

  for (const page of ['/docs', '/docs/', '/redoc']) {
    await context.test(
      `${page} refers to nothing elsewhere, and everything that it refers to is served here`,
      async () => {
        const response = await test.app.inject({ url: page })
        assert.equal(response.statusCode, 200)
        assert.match(String(response.headers['content-type']), /^text\/html/)
        assert.doesNotMatch(response.body, /(?:https?:)?\/\/[a-z]/i)
        const policy = String(response.headers['content-security-policy'])
        assert.doesNotMatch(policy, /https?:|\*|unsafe-eval|script-src[^;]*unsafe-inline/)
        const links = [...response.body.matchAll(/(?:src|href|spec-url)="(?!data:)([^"]+)"/g)]
        assert.ok(links.length >= 2)
        for (const [, link = ''] of links) {
          const { pathname } = new URL(link, `http://localhost${page}`)
          const asset = await test.app.inject({ url: pathname })
          assert.equal(asset.statusCode, 200, pathname)
          assert.ok(asset.rawPayload.length > 0, pathname)
        }
      },
    )
  }

  await context.test('Swagger UI reads our document and asks no validator', async () => {
    const script = await test.app.inject({ url: '/docs/static/swagger-initializer.js' })
    assert.match(script.body, /resolveUrl\('\.\/json'\)/)
    assert.match(script.body, /validatorUrl: null/)
    const document = (await test.app.inject({ url: '/docs/json' })).json()
    assert.deepEqual(document, (await test.app.inject({ url: '/openapi.json' })).json())
  })
})

it('never answers a path under the documents with 5xx', {
  timeout: 60_000,
}, async (context) => {
  await using test = await createTestApp()
  const check = async (url: string) => {
    const response = await test.app.inject({ url })
    assert.ok(response.statusCode < 500, `${response.statusCode} for ${url}`)
    if (response.statusCode >= 400) assert.equal(response.json().code, 'not_found', url)
  }

  await context.test('what has been seen', async () => {
    const climbing = ['..', '../x', '%2e%2e/%2e%2e/x', '..%2f..%2fpackage.json', '..%5cx', './swagger-ui.css', 'a/../x']
    const odd = [
      '',
      '/',
      '/swagger-ui.css',
      'a%00b',
      '%00',
      '%ff',
      '%',
      'C:%5cwindows',
      'index.html/',
      'index.html/%00',
      'x'.repeat(300),
    ]
    for (const name of [...climbing, ...odd]) await check(`/docs/static/${name}`)
  })

  await context.test('anything', async () => {
    const known = '. .. static index.html swagger-ui.css json redoc.js package.json'.split(' ')
    const coded = '%2e %2e%2e %2f %5c \\ %00 %ff %zz %25 %C3%A4 ; : ~ ? #'.split(' ')
    const part = fc.oneof(fc.constantFrom('', ...known, ...coded), fc.string({ maxLength: 8 }), fc.webSegment())
    const path = fc.array(
      fc.array(part, { maxLength: 3 }).map((parts) => parts.join('')),
      { maxLength: 5 },
    )
    const start = fc.constantFrom('/docs/static/', '/docs/', '/redoc/', '/docs/static', '/docs', '/redoc')
    await fc.assert(
      fc.asyncProperty(start, path, (prefix, parts) => check(prefix + parts.join('/'))),
      { numRuns: 500 },
    )
  })

  const errors = test.logger.lines.filter(({ level }) => level !== 'debug')
  assert.deepEqual(errors, [])
})

it('gives a file of the documents whole, whatever part or version of it is asked for', async () => {
  await using test = await createTestApp()
  const url = '/docs/static/swagger-ui.css'
  const whole = await test.app.inject({ url })
  const { etag } = whole.headers
  for (const headers of [
    { range: 'bytes=999999999-' },
    { range: 'bytes=0-9', 'if-range': String(etag) },
    { 'if-match': '"other"' },
    { 'if-unmodified-since': 'Thu, 01 Jan 1970 00:00:00 GMT' },
  ]) {
    const response = await test.app.inject({ url, headers })
    assert.equal(response.statusCode, 200, JSON.stringify(headers))
    assert.equal(response.body, whole.body)
  }
  const again = await test.app.inject({ url, headers: { 'if-none-match': String(etag) } })
  assert.equal(again.statusCode, 304)
})

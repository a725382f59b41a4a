/** Traces as a collector gets them, of a service that is real but for its workers. */
import assert from 'node:assert/strict'
import { once } from 'node:events'
import { mkdtempSync, rmSync } from 'node:fs'
import { createServer, request as httpRequest, type IncomingHttpHeaders, type Server } from 'node:http'
import type { AddressInfo, Socket } from 'node:net'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { text } from 'node:stream/consumers'
import { describe, it } from 'node:test'
import { ConfigError, parseConfig } from '../../src/config/read-config.ts'
import { createLogger } from '../../src/lib/log.ts'
import { createService } from '../../src/service.ts'
import { FakeDriver } from '../../src/workers/fake/fake-driver.ts'

const PARENT = { trace: '0af7651916cd43dd8448eb211c80319c', span: 'b7ad6b7169203331' }
const TRACEPARENT = `00-${PARENT.trace}-${PARENT.span}-01`
const never = new AbortController().signal

interface SentSpan {
  readonly traceId: string
  readonly spanId: string
  readonly parentSpanId?: string
  readonly name: string
  readonly kind: number
  readonly startTimeUnixNano: string
  readonly endTimeUnixNano: string
  readonly attributes: readonly { key: string; value: { stringValue?: string; intValue?: string } }[]
  readonly status: { code: number; message?: string }
}

/** Takes OTLP as JSON, and keeps what came. */
async function startCollector(status = 200) {
  const bodies: string[] = []
  const heads: IncomingHttpHeaders[] = []
  const server = createServer(async (request, response) => {
    assert.equal(request.url, '/v1/traces')
    heads.push(request.headers)
    bodies.push(await text(request))
    response.writeHead(status).end('{}')
  })
  const url = await listening(server)
  const spans = (): SentSpan[] =>
    bodies.flatMap((body) => {
      const [{ scopeSpans }] = JSON.parse(body).resourceSpans
      return scopeSpans[0].spans
    })
  return { url, bodies, heads, spans, [Symbol.asyncDispose]: async () => void server.close() }
}

async function listening(server: Server): Promise<string> {
  server.listen(0, '127.0.0.1')
  await once(server, 'listening')
  return `http://127.0.0.1:${(server.address() as AddressInfo).port}`
}

/** A service with one site, `secret.test`, which keeps the headers that it gets. */
async function startLab(env: Readonly<Record<string, string>>) {
  await using ends = new AsyncDisposableStack()
  const state = mkdtempSync(join(tmpdir(), 'cbtor-traces-'))
  ends.defer(() => rmSync(state, { recursive: true }))
  const seen: IncomingHttpHeaders[] = []
  const site = createServer((request, response) => {
    seen.push(request.headers)
    response.end('ok')
  })
  const take = (socket: Socket) => void site.emit('connection', socket)
  const targets = new Map(['secret.test:80', 'check.test:80'].map((name) => [name, take]))
  const lines: string[] = []
  const document = {
    ...{ state, auth: 'off', listen: '127.0.0.1:0', proxy: { http: '127.0.0.1:0', socks: 'off' } },
    workers: [{ kind: 'local', id: 'tor01' }],
    ...{ politeness: 'off', limits: { rate: 'off', concurrent: 'off' } },
    checks: { clearnet: ['http://check.test/'], onion: [] },
  }
  const exits = [{ nickname: 'exit1', fingerprint: 'A'.repeat(40), address: '203.0.113.7', country: 'de' }]
  const service = ends.use(
    await createService(
      parseConfig(document, {}),
      {
        env,
        logger: createLogger('info', { write: (line) => void lines.push(line) }),
        createDriver: (id) => new FakeDriver({ id, targets, exits }),
      },
      never,
    ),
  )
  await service.ready(AbortSignal.timeout(20_000))
  seen.length = 0
  const owned = ends.move()
  return { service, seen, lines, [Symbol.asyncDispose]: () => owned.disposeAsync() }
}

/** Asks for a page with the header of a trace, and resolves with our answer. */
async function ask(url: string, path: string, headers: Readonly<Record<string, string>>, body?: object) {
  const all = { ...headers, traceparent: TRACEPARENT, tracestate: 'vendor=1', baggage: 'user=secret' }
  const request = httpRequest(path.startsWith('/') ? `${url}${path}` : url, {
    ...(path.startsWith('/') ? {} : { path }),
    method: body === undefined ? 'GET' : 'POST',
    headers: { ...all, ...(body && { 'content-type': 'application/json' }) },
  })
  request.end(body && JSON.stringify(body))
  const [response] = await once(request, 'response')
  return { status: response.statusCode, text: await text(response) }
}

function attributesOf({ attributes }: SentSpan): Record<string, string | undefined> {
  return Object.fromEntries(attributes.map(({ key, value }) => [key, value.stringValue ?? value.intValue]))
}

describe('traces', { timeout: 60_000 }, () => {
  it('come to the collector as parts of the trace of whoever asks, and never to a target', async () => {
    await using collector = await startCollector()
    {
      await using lab = await startLab({
        OTEL_EXPORTER_OTLP_ENDPOINT: collector.url,
        OTEL_EXPORTER_OTLP_HEADERS: 'x-token=let-me-in',
        OTEL_SERVICE_NAME: 'gateway-7',
      })
      const { service, seen } = lab
      const order = { url: 'http://secret.test/private', sticky_key: 'my-secret-key' }
      assert.equal((await ask(service.url, '/api/v1/fetch', {}, order)).status, 200)
      assert.equal((await ask(service.url, '/api/v1/fetch/raw?url=http://secret.test/private', {})).status, 200)
      assert.equal((await ask(service.url, '/api/v1/fetch', {}, { url: 'http://missing.secret.test/' })).status, 502)
      const told = { url: 'http://secret.test/', headers: { Traceparent: TRACEPARENT } }
      const refused = await ask(service.url, '/api/v1/fetch', {}, told)
      assert.equal(JSON.parse(refused.text).code, 'header_forbidden')
      assert.equal((await ask(service.proxy.http ?? '', 'http://secret.test/private', {})).status, 200)
      assert.equal(seen.length, 3)
      for (const headers of seen)
        for (const name of ['traceparent', 'tracestate', 'baggage']) assert.equal(headers[name], undefined)
    }
    const spans = collector.spans()
    const roots = spans.filter(({ kind }) => kind === 2)
    assert.deepEqual(
      roots.map((root) => [
        root.name,
        attributesOf(root)['cbtor.route'],
        root.traceId === PARENT.trace,
        root.parentSpanId,
      ]),
      [
        ['fetch', 'fetch', true, PARENT.span],
        ['fetch', 'raw', true, PARENT.span],
        ['fetch', 'fetch', true, PARENT.span],
        ['fetch', 'fetch', true, PARENT.span],
        // A port of the proxy is told nothing of traces: what it gets is for the target.
        ['forward', 'http', false, undefined],
      ],
    )
    const [first, , failed] = roots
    assert.ok(first && failed)
    const { 'cbtor.worker': worker, 'cbtor.outcome': outcome } = attributesOf(first)
    assert.deepEqual([worker, outcome, attributesOf(first)['http.response.status_code']], ['tor01', 'ok', '200'])
    assert.deepEqual(failed.status, { code: 2, message: 'resolve_failed' })
    const parts = spans.filter(({ parentSpanId }) => parentSpanId === first.spanId)
    assert.ok(parts.some(({ name }) => name === 'attempt') && parts.some(({ name }) => name === 'first byte'))
    for (const { startTimeUnixNano, endTimeUnixNano } of parts)
      assert.ok(BigInt(startTimeUnixNano) <= BigInt(endTimeUnixNano))
    const [{ resource }] = JSON.parse(collector.bodies[0] ?? '').resourceSpans
    assert.ok(JSON.stringify(resource).includes('gateway-7'))
    assert.equal(collector.heads[0]?.['x-token'], 'let-me-in')
    assert.doesNotMatch(collector.bodies.join(), /secret|private|anybody/)
  })

  it('do not hold requests up when there is no collector, and the log says so once', async () => {
    const server = createServer()
    const gone = await listening(server)
    server.close()
    await once(server, 'close')
    await using lab = await startLab({ OTEL_TRACES_EXPORTER: 'otlp', OTEL_EXPORTER_OTLP_ENDPOINT: gone })
    // Enough for more than one batch.
    for (let round = 0; round < 12; round++) {
      const answers = Array.from({ length: 25 }, () =>
        ask(lab.service.url, '/api/v1/fetch', {}, { url: 'http://secret.test/' }),
      )
      for (const { status } of await Promise.all(answers)) assert.equal(status, 200)
    }
    await lab[Symbol.asyncDispose]()
    assert.equal(lab.lines.filter((line) => line.includes('collector')).length, 1)
  })

  it('go to no collector that has a name: the service does not start', async () => {
    await assert.rejects(
      startLab({ OTEL_EXPORTER_OTLP_ENDPOINT: 'http://collector.example:4318' }),
      (error) => error instanceof ConfigError && /is a name, and no name is looked up outside Tor/.test(error.message),
    )
  })

  it('are off when nobody asks for them', async () => {
    await using lab = await startLab({})
    const answer = await ask(lab.service.url, '/api/v1/fetch', {}, { url: 'http://secret.test/' })
    assert.equal(answer.status, 200)
    assert.deepEqual(
      lab.lines.filter((line) => line.includes('collector')),
      [],
    )
  })
})

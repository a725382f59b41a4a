import { mkdirSync, mkdtempSync, rmSync } from 'node:fs'
import { createServer, type IncomingMessage, type ServerResponse } from 'node:http'
import type { Socket } from 'node:net'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { text } from 'node:stream/consumers'
import { parseConfig } from '../../src/config/read-config.ts'
import { createService } from '../../src/service.ts'
import { FakeDriver } from '../../src/workers/fake/fake-driver.ts'

const never = new AbortController().signal
const EXITS = ['de', 'nl', 'us', 'se', 'de', 'de', 'de', 'de'].map((country, n) => ({
  nickname: `exit${n + 1}`,
  fingerprint: `${n}`.repeat(40),
  address: `198.51.100.${n + 1}`,
  country,
  family: `family${n}`,
}))

/** Paths of the site, and what is there. */
const PAGES: Readonly<Record<string, (request: IncomingMessage, response: ServerResponse) => unknown>> = {
  '/': (_, response) => response.setHeader('content-type', 'text/plain').end('hello\n'),
  '/api/ip': (_, response) => response.end('{"IsTor":true,"IP":"198.51.100.1"}'),
  '/echo': async (request, response) => {
    const { method, headers } = request
    response.end(JSON.stringify({ method, headers, body: await text(request) }))
  },
  '/missing': (_, response) => response.writeHead(404).end('not here\n'),
  '/moved': (_, response) => response.writeHead(302, { location: '/' }).end(),
  '/binary': (_, response) => response.end(Buffer.from([0x89, 0x50, 0, 1])),
  '/orders': (_, response) => response.setHeader('content-type', 'text/plain').end('\x1b]0;gotcha\x07\x1b[2Jred\n'),
  '/large': (_, response) => response.end(Buffer.alloc(200_000, 'x')),
  '/cut': (_, response) => {
    response.writeHead(200, { 'content-length': '1000' }).write('half of it')
    // Bytes that nobody has read by then are lost with their connection.
    setTimeout(() => response.destroy(), 500)
  },
}

/** A service with an API on a free port and four workers in memory, which lead to a site at `www.test`. */
export async function startCliService() {
  await using parts = new AsyncDisposableStack()
  const directory = mkdtempSync(join(tmpdir(), 'cbtor-transcripts-'))
  parts.defer(() => rmSync(directory, { recursive: true, force: true }))
  const state = join(directory, 'state')
  mkdirSync(state)

  const site = createServer((request, response) => {
    const page = PAGES[request.url ?? '']
    if (page) void page(request, response)
    else response.writeHead(404).end()
  })
  parts.defer(() => site.closeAllConnections())
  const serve = (socket: Socket) => void site.emit('connection', socket)
  const targets = new Map(['www.test:80', 'check.test:80'].map((address) => [address, serve]))
  const drivers = new Map<string, FakeDriver>()
  const createDriver = (id: string) => {
    const driver = new FakeDriver({ id, targets, exits: EXITS })
    drivers.set(id, driver)
    return driver
  }
  const start = (port: number) => {
    const document = {
      ...{ state, listen: `127.0.0.1:${port}`, log: 'silent', politeness: 'off' },
      proxy: { http: 'off', socks: 'off' },
      workers: ['tor01', 'tor02', 'tor03', 'tor04'].map((id) => ({ kind: 'local', id })),
      checks: { clearnet: ['http://check.test/api/ip'], onion: [] },
      exits: { min_exits: 1, min_families: 1 },
    }
    return createService(parseConfig(document, {}), { createDriver }, never)
  }
  let service = await start(0)
  parts.defer(() => service[Symbol.asyncDispose]())
  await service.ready(AbortSignal.timeout(30_000))
  const { port } = new URL(service.url)
  const owned = parts.move()
  return {
    ...{ directory, drivers },
    env: { CBTOR_STATE: state, CBTOR_LISTEN: `127.0.0.1:${port}` },
    /** Ends it, and starts it again at the same address. */
    async restart() {
      await service[Symbol.asyncDispose]()
      service = await start(Number(port))
      await service.ready(AbortSignal.timeout(30_000))
    },
    [Symbol.asyncDispose]: () => owned.disposeAsync(),
  }
}

export type CliService = Awaited<ReturnType<typeof startCliService>>

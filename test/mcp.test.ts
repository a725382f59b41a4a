import assert from 'node:assert/strict'
import { spawn } from 'node:child_process'
import { PassThrough } from 'node:stream'
import { describe, it } from 'node:test'
import { Client, type ClientOptions, StreamableHTTPClientTransport } from '@modelcontextprotocol/client'
import { StdioClientTransport } from '@modelcontextprotocol/client/stdio'
import { StdioServerTransport } from '@modelcontextprotocol/server/stdio'
import fc from 'fast-check'
import { Agent, fetch as undiciFetch } from 'undici'
import type { FakeBackend } from '../src/api/fake-backend.ts'
import { post, read, startServer } from '../src/api/test-server.ts'
import { runTestCli } from '../src/cli/test-cli.ts'
import type { Scope } from '../src/domain/caller.ts'
import { onAbort } from '../src/lib/abort.ts'
import { startLab } from './bad-inputs/lab.ts'
import { CHECK } from './bad-inputs/targets.ts'
import { type McpSubject, mcpContract } from './contracts/mcp-contract.ts'

type Mode = 'legacy' | 'auto'
type TestServer = Awaited<ReturnType<typeof startServer>>

const clientOf = (mode: Mode) => {
  const options: ClientOptions = { versionNegotiation: { mode } }
  return new Client({ name: 'test', version: '1' }, options)
}

async function overHttp(mode: Mode, scopes?: readonly Scope[]) {
  await using parts = new AsyncDisposableStack()
  const running = parts.use(await startServer({ auth: scopes === undefined ? 'off' : 'on' }))
  // Its own connections, closed before the server: undici opens one anew for what was aborted, and the server waits for it.
  const dispatcher = parts.adopt(new Agent(), (each) => each.destroy())
  const client = parts.adopt(clientOf(mode), (each) => each.close())
  const headers = scopes === undefined ? {} : running.keys.with(...scopes)
  const own = ((url: string, init: object) => undiciFetch(url, { ...init, dispatcher })) as unknown as typeof fetch
  const options = { fetch: own, requestInit: { headers } }
  await client.connect(new StreamableHTTPClientTransport(new URL(`${running.url}/mcp`), options))
  const owned = parts.move()
  return { ...running, client, headers, [Symbol.asyncDispose]: () => owned.disposeAsync() }
}

/** The command in this process, since a child takes a second to start: what a server reads and writes is what a client does. */
async function overStdio(mode: Mode, at?: TestServer): Promise<McpSubject> {
  await using parts = new AsyncDisposableStack()
  const running = at ?? parts.use(await startServer())
  const [stdin, stdout] = [new PassThrough(), new PassThrough()]
  const ended = runTestCli(['mcp', '--api', running.url], { CBTOR_KEY: 'cbt_a_b' }, { stdin, out: stdout })
  parts.defer(async () => {
    stdin.destroy()
    assert.equal((await ended).code, 0)
  })
  const client = parts.adopt(clientOf(mode), (each) => each.close())
  await client.connect(new StdioServerTransport(stdout, stdin))
  const owned = parts.move()
  return { client, backend: running.backend, [Symbol.asyncDispose]: () => owned.disposeAsync() }
}

describe('MCP over HTTP, as it was before 2026', { timeout: 60_000 }, () => mcpContract(() => overHttp('legacy')))
describe('MCP over HTTP', { timeout: 60_000 }, () => mcpContract(() => overHttp('auto')))
describe('MCP over stdio, as it was before 2026', { timeout: 60_000 }, () => mcpContract(() => overStdio('legacy')))
describe('MCP over stdio', { timeout: 60_000 }, () => mcpContract(() => overStdio('auto')))

describe('POST /mcp', { timeout: 60_000 }, () => {
  it('takes a key, and for each tool the scope of the route that does the same', async () => {
    await using subject = await overHttp('auto', ['fetch'])
    const textOf = async (name: string, args: object) => {
      const { content } = await subject.client.callTool({ name, arguments: { ...args } })
      return content.map((each) => (each.type === 'text' ? each.text : '')).join()
    }
    assert.match(await textOf('fetch', { url: 'http://a.test/' }), /HTTP 200/)
    assert.match(await textOf('pool_status', {}), /it takes a key with the scope "workers:read"/)
    assert.match(await textOf('new_identity', { sticky_key: 'my-session-123' }), /the scope "sessions"/)
    assert.match(await textOf('new_identity', { worker: '1' }), /the scope "workers:write"/)
    assert.deepEqual(subject.backend.calls, ['fetch'])

    const bare = await fetch(`${subject.url}/mcp`, { method: 'POST', body: '{}', headers: JSON_TYPE })
    assert.deepEqual([bare.status, bare.headers.get('cbtor-error')], [401, 'auth_required'])
  })

  it('counts against the limits of the key, tells it when to come back, and leaves nothing in the log', async () => {
    await using lab = await startLab()
    const { key } = await lab.api.createKey({ name: 'm', scopes: ['fetch'], limits: { rate: 0.001, burst: 1 } })
    const client = clientOf('auto')
    const requestInit = { headers: { authorization: `Bearer ${key}` } }
    await client.connect(new StreamableHTTPClientTransport(new URL(`${lab.service.url}/mcp`), { requestInit }))
    const url = `http://${CHECK}/hidden-path`
    const call = async (args: object) =>
      JSON.stringify(await client.callTool({ name: 'fetch', arguments: { url, ...args } }))
    assert.match(await call({ body: 'x' }), /body must be left out with GET/)
    assert.match(await call({}), /HTTP \d{3}/)
    assert.match(
      await call({}),
      /doing of a rule that the operator has set \(rate_limited\)\. The same call may succeed later, after \d+ s/,
    )
    await client.close()
    assert.match(lab.logged(), /"key":/)
    assert.doesNotMatch(lab.logged(), /hidden/)
  })

  it('tells the log of a bug, and its caller nothing', async () => {
    await using subject = await overHttp('auto')
    subject.backend.answer = async () => {
      throw new Error('a secret')
    }
    await subject.client.callTool({ name: 'fetch', arguments: { url: 'http://a.test/' } })
    const [line, ...more] = subject.logger.lines.filter(({ level }) => level === 'error')
    assert.deepEqual([line?.message, more], ['request failed by a bug', []])
    assert.doesNotMatch(JSON.stringify(line), /a secret|a\.test/)
  })

  it('tells every five seconds that a call goes on', async () => {
    await using subject = await overHttp('legacy')
    const begun = hang(subject.backend)
    const told: (string | undefined)[] = []
    let next = Promise.withResolvers<void>()
    const controller = new AbortController()
    const options = {
      signal: controller.signal,
      onprogress: ({ message }: { readonly message?: string | undefined }) => {
        told.push(message)
        next.resolve()
        next = Promise.withResolvers()
      },
    }
    const called = subject.client.callTool({ name: 'fetch', arguments: { url: 'http://a.test/' } }, options)
    const outcome = assert.rejects(called)
    await Promise.all([next.promise, begun])
    for (let n = 0; n < 2; n++) {
      const heard = next.promise
      await subject.clock.advance(5_000)
      await heard
    }
    controller.abort('enough')
    await outcome
    assert.deepEqual(told, ['asked', 'waiting for 5 s', 'waiting for 10 s'])
  })

  it('ends what goes on in the name of a key that is revoked, and says so', async () => {
    await using subject = await overHttp('auto', ['fetch'])
    const signal = hang(subject.backend)
    const called = subject.client.callTool({ name: 'fetch', arguments: { url: 'http://a.test/' } })
    await signal
    subject.keys.revoke('key1')
    const { isError, content } = await called
    assert.deepEqual([isError, /the key was revoked/.test(JSON.stringify(content))], [true, true])
    assert.equal(subject.keys.listeners, 0)
  })

  it('ends what goes on for a client that hangs up', async () => {
    for (const mode of ['legacy', 'auto'] as const) {
      await using subject = await overHttp(mode)
      const begun = hang(subject.backend)
      subject.client.callTool({ name: 'fetch', arguments: { url: 'http://a.test/' } }).catch(() => {})
      const signal = await begun
      await subject.client.close()
      await new Promise<unknown>((resolve) => onAbort(signal, resolve))
    }
  })

  it('is held to the rules of the API: origin, host, media type, size, depth, methods', async () => {
    await using running = await startServer()
    const { url } = running
    const ask = async (init: RequestInit) => {
      const { status, headers } = await fetch(`${url}/mcp`, { method: 'POST', body: PING, ...init })
      return [status, headers.get('cbtor-error')]
    }
    assert.deepEqual(await ask({ headers: { ...JSON_TYPE, origin: 'https://evil.test' } }), [403, 'origin_not_allowed'])
    assert.deepEqual(await ask({ headers: { 'content-type': 'text/plain' } }), [415, 'unsupported_media_type'])
    assert.deepEqual(await ask({ headers: JSON_TYPE, body: '{' }), [400, 'invalid_json'])
    assert.deepEqual(await ask({ headers: JSON_TYPE, body: '['.repeat(99) }), [400, 'invalid_json'])
    assert.deepEqual(await ask({ headers: JSON_TYPE, body: `[${PING}]` }), [400, 'invalid_input'])
    assert.deepEqual(await ask({ headers: JSON_TYPE, body: '' }), [400, 'invalid_input'])
    assert.deepEqual(await ask({ headers: JSON_TYPE, body: `"${'x'.repeat(2e6)}"` }), [413, 'payload_too_large'])
    for (const method of ['GET', 'DELETE']) {
      const response = await fetch(`${url}/mcp`, { method })
      assert.deepEqual([response.status, response.headers.get('allow')], [405, 'POST'])
    }
    for (const each of [PING, PING.replace('ping', 'nothing'), '{}']) {
      const { headers } = await fetch(`${url}/mcp`, {
        method: 'POST',
        body: each,
        headers: { ...JSON_TYPE, ...ACCEPT },
      })
      assert.equal(headers.get('cache-control'), 'no-store, no-transform', each)
    }
    const socket = await running.dial()
    socket.write(post(running.port, '/mcp', {}).replace(/Host: .*/, 'Host: rebound.test'))
    assert.match(await read(socket, /\r\n\r\n/), /^HTTP\/1\.1 421 /)
  })

  it('cancels the call of its own session and no other', async () => {
    await using one = await overHttp('legacy')
    const begun = hang(one.backend)
    const controller = new AbortController()
    const options = { signal: controller.signal }
    const called = one.client.callTool({ name: 'fetch', arguments: { url: 'http://a.test/' } }, options)
    const outcome = assert.rejects(called)
    const signal = await begun
    for (const headers of [JSON_TYPE, { ...JSON_TYPE, 'mcp-session-id': 'another' }]) {
      for (const requestId of [0, 1, 2, 3]) {
        const body = JSON.stringify({ jsonrpc: '2.0', method: 'notifications/cancelled', params: { requestId } })
        const { status } = await fetch(`${one.url}/mcp`, { method: 'POST', body, headers: { ...headers, ...ACCEPT } })
        assert.equal(status, 202)
      }
    }
    assert.equal(signal.aborted, false)
    controller.abort('enough')
    await outcome
    await new Promise<unknown>((resolve) => onAbort(signal, resolve))
  })

  it('answers whatever comes, never with 5xx', async () => {
    await using running = await startServer()
    const word = fc.constantFrom('2.0', 'tools/call', 'tools/list', 'initialize', 'ping', 'fetch', '2026-07-28', '')
    const value = fc.oneof(word, fc.jsonValue({ maxDepth: 3 }))
    const params = fc.record(
      { name: value, arguments: value, protocolVersion: value, _meta: value },
      { requiredKeys: [] },
    )
    const message = fc.record(
      { jsonrpc: value, id: value, method: value, params: fc.oneof(params, value) },
      { requiredKeys: [] },
    )
    const header = fc.constantFrom<Record<string, string>>(
      {},
      { 'mcp-protocol-version': '2026-07-28' },
      { 'mcp-protocol-version': 'x', 'mcp-session-id': 'x' },
      { accept: 'text/html' },
    )
    await fc.assert(
      fc.asyncProperty(fc.oneof(message, value), header, async (body, more) => {
        const headers = { ...JSON_TYPE, ...ACCEPT, ...more }
        const response = await fetch(`${running.url}/mcp`, { method: 'POST', body: JSON.stringify(body), headers })
        await response.text()
        assert.ok(response.status < 500, `${response.status} for ${JSON.stringify(body)}`)
      }),
      { numRuns: 300 },
    )
    assert.deepEqual(
      running.logger.lines.filter(({ level }) => level !== 'debug'),
      [],
    )
  })
})

describe('cbtor mcp', { timeout: 60_000 }, () => {
  it('is started by a host, with the key in its environment', async () => {
    await using running = await startServer({ auth: 'on' })
    const CBTOR_KEY = running.keys.with('fetch').authorization.slice('Bearer '.length)
    const client = clientOf('auto')
    const args = ['src/main.ts', 'mcp', '--api', running.url]
    await client.connect(new StdioClientTransport({ command: process.execPath, args, env: { CBTOR_KEY } }))
    try {
      const fetched = await client.callTool({ name: 'fetch', arguments: { url: 'http://a.test/' } })
      assert.match(JSON.stringify(fetched.content), /HTTP 200/)
      const { isError, content } = await client.callTool({ name: 'pool_status', arguments: {} })
      assert.deepEqual([isError, /scope \\"workers:read\\"/.test(JSON.stringify(content))], [true, true])
    } finally {
      await client.close()
    }
  })

  it('says where a key is set that is not good, and where a service would be', async () => {
    await using running = await startServer({ auth: 'on' })
    await using subject = await overStdio('auto', running)
    const textOf = async () =>
      JSON.stringify((await subject.client.callTool({ name: 'pool_status', arguments: {} })).content)
    assert.match(await textOf(), /\(auth_invalid\).*The key is that in CBTOR_KEY/)
    await running.server.close()
    assert.match(await textOf(), /Cannot call GET \/api\/v1\/health: the service cannot be reached: http:/)
  })

  it('ends after a message that is too long', async () => {
    await using running = await startServer()
    const stdin = new PassThrough()
    const ended = runTestCli(['mcp', '--api', running.url], { CBTOR_KEY: 'cbt_a_b' }, { stdin })
    for (let n = 0; n < 5; n++) stdin.write('x'.repeat(1024 * 1024))
    assert.equal((await ended).code, 0)
  })

  it('writes nothing but the protocol to stdout, whatever comes, and ends with its host', async () => {
    await using running = await startServer()
    const child = spawn(process.execPath, ['src/main.ts', 'mcp', '--api', running.url], { env: {} })
    let out = ''
    child.stdout.setEncoding('utf8').on('data', (text) => {
      out += text
    })
    child.stdin.write('not json\n{}\n[]\nnull\n{"jsonrpc":"2.0","method":5}\n')
    child.stdin.write(`${PING}\n`)
    while (!out.includes('"id":7')) await new Promise((resolve) => child.stdout.once('data', resolve))
    child.stdin.end()
    const [code] = await new Promise<unknown[]>((resolve) => child.once('close', (...args) => resolve(args)))
    assert.equal(code, 0)
    for (const line of out.trim().split('\n')) assert.equal(JSON.parse(line).jsonrpc, '2.0')
  })
})

/** Lets the next fetch hang until it is aborted; resolves with its signal once it has begun. */
async function hang(backend: FakeBackend): Promise<AbortSignal> {
  const begun = Promise.withResolvers<AbortSignal>()
  backend.answer = (_request, signal) => {
    begun.resolve(signal)
    return new Promise((_resolve, reject) => onAbort(signal, reject))
  }
  return await begun.promise
}

const JSON_TYPE = { 'content-type': 'application/json' }
const ACCEPT = { accept: 'application/json, text/event-stream' }
const PING = '{"jsonrpc":"2.0","id":7,"method":"ping"}'

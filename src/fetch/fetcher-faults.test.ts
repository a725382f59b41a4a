import assert from 'node:assert/strict'
import type { Socket } from 'node:net'
import { describe, it } from 'node:test'
import v8 from 'node:v8'
import { runInNewContext } from 'node:vm'
import type { ProblemCode } from '../domain/problems.ts'
import { createFetchLab, turns } from './test-fetch-lab.ts'
import { fetchRequest, makeCertificate, TestServer } from './test-lab.ts'

/** Node exposes it only when told to, which can be later than its start. */
v8.setFlagsFromString('--expose-gc')
const collectGarbage: () => void = runInNewContext('gc')

describe('fetch(), when something goes wrong', { timeout: 30_000 }, () => {
  const certificate = makeCertificate()

  it('refuses a bad request before it asks for a worker', async () => {
    await using lab = await createFetchLab()
    await lab.fails('http://127.0.0.1/', 'target_forbidden')
    await lab.fails('http://a.test/', 'header_forbidden', { headers: [['Host', 'b.test']] })
    for (const method of ['', 'G T', 'GET\r\n', 'CONNECT', 'trace', 'TRACK']) {
      await lab.fails('http://a.test/', 'invalid_input', { method })
    }
    assert.deepEqual(lab.workers.selections, [])
  })

  it('has a problem for everything that a target can do wrong', async () => {
    await using lab = await createFetchLab()
    const cases: [bytes: string, code: ProblemCode][] = [
      ['', 'connection_lost'],
      ['HTTP/1.1 200 OK\r\n', 'connection_lost'],
      ['HTTP/1.1 200 OK\r\ncontent-length: 5\r\n\r\nabc', 'connection_lost'],
      ['HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n3\r\nab', 'connection_lost'],
      ['HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\nzz\r\n', 'bad_response'],
      ['HTTP/1.1 100 Continue\r\n\r\n', 'bad_response'],
      ['HTTP/1.1 101 Switching\r\nupgrade: x\r\nconnection: upgrade\r\n\r\n', 'bad_response'],
      ['SSH-2.0-OpenSSH_9.2\r\n', 'bad_response'],
      [`HTTP/1.1 200 OK\r\n${'a: b\r\n'.repeat(40_000)}\r\n`, 'bad_response'],
      ['HTTP/1.1 200 OK\r\ncontent-length: 1000000000000000\r\n\r\nabc', 'response_too_large'],
      ['HTTP/1.1 200 OK\r\ncontent-encoding: gzip\r\n\r\nabc', 'encoding_invalid'],
      ['HTTP/1.1 200 OK\r\ncontent-encoding: gzip, gzip\r\n\r\nabc', 'encoding_invalid'],
    ]
    for (const [bytes, code] of cases) {
      await using server = await TestServer.tcp((socket) => socket.once('data', () => socket.end(bytes)))
      lab.workers.network.set('a.test:80', server.port)
      const error = await lab.fails('http://a.test/', code, { workerId: 'w1' })
      assert.deepEqual(
        error.attempts.map(({ outcome }) => outcome),
        [code],
        JSON.stringify(bytes.slice(0, 60)),
      )
      await server.allClosed()
    }
    assert.deepEqual(lab.fetcher.connections, { busy: 0, idle: 0 })
    assert.equal(lab.workers.leases, 0)
  })

  it('stops a body that has no end, and ends its connection', async () => {
    await using lab = await createFetchLab()
    const server = await lab.serve('a.test:80', (_, response) => {
      const send = () => {
        while (response.write(Buffer.alloc(16 * 1024)));
      }
      response.on('drain', send)
      send()
    })
    await lab.fails('http://a.test/', 'response_too_large')
    await server.allClosed()
  })

  it('calls its own mistakes by their name', async () => {
    await using lab = await createFetchLab()
    await lab.serve('a.test:80', (_, response) => response.end('x'))
    lab.workers.askExit = async () => {
      throw new TypeError('a driver that breaks its promise')
    }
    await lab.fails('http://a.test/', 'internal')
    assert.deepEqual(lab.fetcher.connections, { busy: 0, idle: 0 })
  })

  it('says no_worker when there is none', async () => {
    await using lab = await createFetchLab()
    const error = await lab.fails('http://a.test/', 'no_worker', { workerId: 'w9' })
    assert.deepEqual(error.attempts, [])
    assert.equal(error.retryAfterMs, 5)
  })

  it('ends at its deadline whatever it waits for, and says who was slow', async () => {
    await using lab = await createFetchLab(certificate.cert)
    const byteByByte = (socket: Socket) => socket.write('HTTP/1.1 200 OK\r\ncontent-length: 100\r\n\r\nx')
    const cases: [url: string, outcome: ProblemCode, onData: (socket: Socket) => void][] = [
      ['http://a.test/', 'timeout', () => {}],
      ['http://a.test/', 'timeout', byteByByte],
      ['https://a.test/', 'timeout', () => {}],
    ]
    for (const [url, outcome, onData] of cases) {
      const reached = Promise.withResolvers<void>()
      await using server = await TestServer.tcp((socket) =>
        socket.on('data', () => {
          onData(socket)
          reached.resolve()
        }),
      )
      lab.workers.network.set('a.test:80', server.port).set('a.test:443', server.port)
      const failing = lab.fails(url, 'timeout', { workerId: 'w1', timeoutMs: 5000 })
      await reached.promise
      await lab.clock.advance(5000)
      const error = await failing
      assert.deepEqual(error.attempts, [{ worker: 'w1', outcome, ms: 5000 }])
      await server.allClosed()
    }
    lab.workers.network.set('a.test:80', 'hang')
    const failing = lab.fails('http://a.test/', 'tor_timeout', { workerId: 'w1', timeoutMs: 5000 })
    await lab.clock.advance(5000)
    assert.deepEqual((await failing).attempts, [{ worker: 'w1', outcome: 'tor_timeout', ms: 5000 }])
    assert.equal(lab.clock.pending, 0)
    assert.equal(lab.workers.leases, 0)
  })

  it('blames the worker for a deadline when it was found not to answer, until it does again', async () => {
    await using lab = await createFetchLab()
    const silent = lab.use('a.test:80', await TestServer.tcp((socket) => socket.resume()))
    lab.workers.network.set('b.test:80', 'hang')
    for (const [url, trusted] of [
      ['http://a.test/', 'timeout'],
      ['http://b.test/', 'tor_timeout'],
    ] as const) {
      for (const code of ['worker_unreachable', trusted] as const) {
        const failing = lab.fails(url, code, { workerId: 'w1', timeoutMs: 5000 })
        while (url.includes('a.test') && silent.sockets.size === 0) await turns(1)
        await lab.clock.advance(3000)
        lab.fetcher.abandonStalled('w1', 'it does not answer')
        if (code === trusted) lab.fetcher.trustAgain('w1')
        await lab.clock.advance(2000)
        assert.deepEqual((await failing).attempts, [{ worker: 'w1', outcome: code, ms: 5000 }])
        await silent.allClosed()
      }
    }
  })

  it('tells what took so long when the deadline strikes on a later worker', async () => {
    await using lab = await createFetchLab()
    lab.workers.faults.set('w1', 'connection_refused').set('w2', 'hang').set('w3', 'hang')
    const failing = lab.fails('http://a.test/', 'tor_timeout', { timeoutMs: 5000 })
    await lab.clock.advance(5000)
    const outcomes = (await failing).attempts.map(({ outcome }) => outcome)
    assert.deepEqual(outcomes, ['connection_refused', 'tor_timeout', 'tor_timeout'])
  })

  it("ends with the caller's reason, frees everything and blames nobody", async () => {
    await using lab = await createFetchLab()
    const reached = Promise.withResolvers<void>()
    const server = await lab.serve('a.test:80', (_, response) => {
      response.write('a')
      reached.resolve()
    })
    lab.workers.network.set('b.test:80', 'hang')
    for (const url of ['http://a.test/', 'http://b.test/']) {
      const controller = new AbortController()
      const fetching = lab.fetcher.fetch(fetchRequest(url), controller.signal)
      if (url.includes('a.test')) await reached.promise
      controller.abort(new Error('the client is gone'))
      await assert.rejects(fetching, /the client is gone/)
    }
    await server.allClosed()
    assert.deepEqual(
      lab.workers.reports.map(([, outcome]) => outcome),
      ['client_gone', 'client_gone'],
    )
    assert.equal(lab.clock.pending, 0)
    assert.equal(lab.workers.leases, 0)
    await assert.rejects(
      lab.fetcher.fetch(fetchRequest('http://a.test/'), AbortSignal.abort(new Error('before'))),
      /before/,
    )
  })

  it('drops what it keeps of a worker, and everything when disposed', async () => {
    await using lab = await createFetchLab()
    const server = await lab.serve('a.test:80', (request, response) => void (request.url === '/' && response.end('x')))
    await lab.fetch('http://a.test/')
    await lab.fetch('http://a.test/')
    assert.equal(lab.fetcher.connections.idle, 2)
    lab.fetcher.dropConnections('w1')
    assert.equal(lab.fetcher.connections.idle, 1)

    const failing = lab.fails('http://a.test/never', 'shutting_down')
    while (lab.workers.dials.length < 3) await new Promise(setImmediate)
    lab.fetcher[Symbol.dispose]()
    await failing
    await server.allClosed()
    assert.equal(lab.clock.pending, 0)
  })

  it('ends in the middle of a body, of a redirect, and of a pause before the next try when disposed', async () => {
    const begun = 'HTTP/1.1 200 OK\r\ncontent-length: 9\r\n\r\nbegun'
    const zipped = 'HTTP/1.1 200 OK\r\ncontent-encoding: gzip\r\ntransfer-encoding: chunked\r\n\r\n2\r\n\x1f\x8b\r\n'
    const moved = 'HTTP/1.1 302 Found\r\nlocation: http://b.test/\r\ncontent-length: 9\r\n\r\nbegun'
    for (const bytes of [begun, zipped, moved]) {
      await using lab = await createFetchLab()
      const reached = Promise.withResolvers<void>()
      const server = await TestServer.tcp((socket) =>
        socket.on('data', () => socket.write(bytes, 'latin1', () => reached.resolve())),
      )
      lab.use('a.test:80', server)
      const failing = lab.fails('http://a.test/', 'shutting_down')
      await reached.promise
      await turns()
      lab.fetcher[Symbol.dispose]()
      const { attempts, message } = await failing
      assert.match(message, /shutting down/)
      assert.equal(attempts.length, 1)
      await server.allClosed()
      assert.equal(lab.clock.pending, 0)
      assert.equal(lab.workers.leases, 0)
      assert.deepEqual(lab.fetcher.connections, { busy: 0, idle: 0 })
    }

    await using lab = await createFetchLab()
    lab.workers.faults.set('w1', 'exit_policy').set('w2', 'exit_policy')
    const failing = lab.fails('http://a.test/', 'shutting_down')
    await turns()
    lab.fetcher[Symbol.dispose]()
    assert.equal((await failing).attempts.length, 2)
    assert.equal(lab.clock.pending, 0)
    await lab.fails('http://a.test/', 'shutting_down')
    assert.equal(lab.workers.leases, 0)
  })

  it('holds no more after many fetches than after few', async () => {
    await using lab = await createFetchLab()
    const server = await lab.serve('a.test:80', (_, response) => response.end('x'.repeat(1000)))
    const round = async (count: number) => {
      for (let n = 0; n < count; n++) await lab.fetch('http://a.test/', { isolation: 'request' })
      collectGarbage()
      return process.memoryUsage().heapUsed
    }
    await round(200)
    const before = await round(200)
    const grown = (await round(1000)) - before
    assert.ok(grown < 8 * 1024 * 1024, `the heap grew by ${grown} bytes`)
    assert.deepEqual(lab.fetcher.connections, { busy: 0, idle: 0 })
    assert.equal(lab.clock.pending, 0)
    await server.allClosed()
  })
})

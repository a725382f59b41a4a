import assert from 'node:assert/strict'
import type { Socket } from 'node:net'
import { PassThrough, Readable } from 'node:stream'
import { describe, it } from 'node:test'
import type { CbtorError } from '../domain/errors.ts'
import type { ProblemCode } from '../domain/problems.ts'
import type { ForwardRequest } from './forwarder.ts'
import { createFetchLab, turns } from './test-fetch-lab.ts'
import { bodyOf, TestServer } from './test-lab.ts'

const never = new AbortController().signal

describe('Forwarder', { timeout: 20_000 }, () => {
  it('sends the head as the client wrote it, with Host first and nothing added, and gives back the answer as it came', async () => {
    await using lab = await createForwardLab()
    const seen: string[] = []
    lab.use(
      'a.test:8080',
      await TestServer.tcp((socket) =>
        socket.on('data', (bytes) => {
          seen.push(bytes.toString('latin1'))
          socket.write(
            'HTTP/1.1 203 Odd Words\r\nX-Two: 1\r\nx-TWO: 2\r\nContent-Encoding: gzip\r\nContent-Length: 2\r\n\r\nok',
          )
        }),
      ),
    )
    const headers = [
      ['uSER-agent', 'curl/8'],
      ['Accept', '*/*'],
      ['x-b', '1'],
      ['X-A', 'é'],
    ] as const
    const answer = await lab.forward({ url: 'http://A.test:8080/p%20q?r=s#t', headers })
    assert.equal(
      seen[0],
      'GET /p%20q?r=s HTTP/1.1\r\nHost: a.test:8080\r\nuSER-agent: curl/8\r\nAccept: */*\r\nx-b: 1\r\nX-A: é\r\n\r\n',
    )
    assert.deepEqual([answer.status, answer.statusText, answer.worker], [203, 'Odd Words', 'w1'])
    assert.deepEqual(answer.headers, [
      ['X-Two', '1'],
      ['x-TWO', '2'],
      ['Content-Encoding', 'gzip'],
      ['Content-Length', '2'],
    ])
    assert.equal(await text(answer.body), 'ok')
    for (const method of ['POST', 'DELETE', 'OPTIONS', 'PATCH']) {
      const answer = await lab.forward({ url: 'http://a.test:8080/', method })
      await text(answer.body)
      assert.equal(seen.at(-1), `${method} / HTTP/1.1\r\nHost: a.test:8080\r\n\r\n`)
    }
  })

  it('ends with its client, at whatever moment that leaves', async () => {
    await using lab = await createForwardLab()
    await lab.serve('a.test:80', (_, response) => response.end('x'))
    for (let microtasks = 0; microtasks < 30; microtasks++) {
      lab.workers.rewind()
      await text((await lab.forward({ url: 'http://a.test/' })).body)
      await turns(2)
      lab.workers.rewind()
      const client = new AbortController()
      const outcome = lab.forward({ url: 'http://a.test/' }, client.signal).then(
        (answer) => answer.body.destroy(),
        () => {},
      )
      for (let n = 0; n < microtasks; n++) await undefined
      client.abort(new Error('gone'))
      const isOver = await Promise.race([outcome.then(() => true), turns(50).then(() => false)])
      assert.ok(isOver, `after ${microtasks} microtasks`)
    }
    await turns()
    assert.equal(lab.workers.leases, 0)
  })

  it('streams bodies both ways, of known length and not, at the pace of the slower side', async () => {
    await using lab = await createForwardLab()
    await lab.serve('a.test:80', async (request, response) => {
      response.setHeader('x-framing', request.headers['content-length'] ?? request.headers['transfer-encoding'] ?? '')
      response.end(await bodyOf(request))
    })
    const known = await lab.forward({
      method: 'POST',
      headers: [['Content-Length', '5']],
      body: Readable.from(['he', 'llo']),
    })
    assert.ok(known.headers.some(([name, value]) => name === 'x-framing' && value === '5'))
    assert.equal(await text(known.body), 'hello')
    const unknown = await lab.forward({ method: 'PUT', body: Readable.from(['he', 'llo']) })
    assert.ok(unknown.headers.some(([name, value]) => name === 'x-framing' && value === 'chunked'))
    assert.equal(await text(unknown.body), 'hello')

    let produced = 0
    const flood = new Readable({
      read() {
        produced += 65_536
        this.push(produced > 64_000_000 ? null : Buffer.alloc(65_536))
      },
    })
    const deaf = await TestServer.tcp((socket) => socket.pause())
    lab.use('b.test:80', deaf)
    const gone = new AbortController()
    const sending = lab.forward({ url: 'http://b.test/', method: 'POST', body: flood }, gone.signal)
    await turns(100)
    assert.ok(produced < 32_000_000, `${produced} bytes were taken for a target that reads nothing`)
    gone.abort(new Error('gone'))
    await assert.rejects(sending, /gone/)
    assert.ok(flood.destroyed)
  })

  it('keeps connections for the same identity only', async () => {
    await using lab = await createForwardLab()
    const server = await lab.serve('a.test:80', (_, response) => response.end('ok'))
    const get = async (changes: Partial<ForwardRequest>) =>
      text((await lab.forward({ workerId: 'w1', ...changes })).body)
    await get({})
    await turns()
    await get({})
    assert.equal(server.accepted, 1)
    await turns()
    await get({ stickyKey: 'me' })
    assert.equal(server.accepted, 2)
    await get({ isolation: 'request' })
    await turns()
    assert.deepEqual(lab.fetcher.forwarder.connections, { busy: 0, idle: 2 })
    assert.equal(lab.workers.forgotten.length, 1)

    // A connection that died while it waited is no fault.
    for (const socket of server.sockets) socket.destroy()
    await get({})
    assert.equal(server.accepted, 4)
    lab.fetcher.dropConnections('w1')
    assert.deepEqual(lab.fetcher.forwarder.connections, { busy: 0, idle: 0 })
    assert.equal(lab.workers.leases, 0)
    assert.equal(lab.clock.pending, 0)
  })

  it('goes on to another worker while it may, and not when something may have arrived that must not twice', async () => {
    await using lab = await createForwardLab()
    let arrived = 0
    const resets = await TestServer.tcp((socket) =>
      socket.once('data', () => {
        arrived++
        socket.resetAndDestroy()
      }),
    )
    lab.use('w1.test:80', resets)
    lab.workers.faults.set('w1', resets.port)
    await lab.serve('a.test:80', async (request, response) => response.end(await bodyOf(request)))
    assert.equal((await lab.forward({})).worker, 'w2')
    lab.workers.rewind()
    const lost = await lab.fails({ method: 'POST', body: Readable.from(['x']) }, 'connection_lost')
    assert.equal(lost.attempts.length, 1)
    assert.equal(arrived, 2)

    lab.workers.rewind()
    lab.workers.faults.set('w1', 'worker_unreachable')
    const posted = await lab.forward({ method: 'POST', body: Readable.from(['body']) })
    assert.equal(await text(posted.body), 'body')
    assert.equal(posted.worker, 'w2')
  })

  it('fails when the answer is no HTTP, ends early, or its worker is lost in the middle', async () => {
    await using lab = await createForwardLab({ verdictMs: 150 })
    const answering = async (bytes: string) => {
      const server = await TestServer.tcp((socket) => socket.once('data', () => socket.end(bytes)))
      lab.use('a.test:80', server)
      return server
    }
    const cases: [bytes: string, code: ProblemCode][] = [
      ['', 'connection_lost'],
      ['HTTP/1.1 200 OK\r\n', 'connection_lost'],
      ['SSH-2.0-OpenSSH_9.2\r\n', 'bad_response'],
      ['HTTP/1.1 101 Switching\r\nupgrade: x\r\nconnection: upgrade\r\n\r\n', 'connection_lost'],
      [`HTTP/1.1 200 OK\r\n${'a: b\r\n'.repeat(40_000)}\r\n`, 'bad_response'],
    ]
    for (const [bytes, code] of cases) {
      const server = await answering(bytes)
      await lab.passUntil(lab.fails({ workerId: 'w1' }, code))
      await server.allClosed()
    }
    await answering('HTTP/1.1 200 OK\r\ncontent-length: 9\r\n\r\nhalf')
    const half = await lab.forward({})
    await assert.rejects(text(half.body))

    await answering('HTTP/1.1 200 OK\r\n\r\nuntil the end')
    const whole = await lab.forward({})
    assert.equal(await lab.passUntil(text(whole.body)), 'until the end')
    const cut = await lab.forward({ workerId: 'w2' })
    const reading = text(cut.body)
    await turns()
    lab.fetcher.abandonWorker('w2', 'Tor has exited')
    await assert.rejects(reading, { code: 'worker_unreachable' })

    const sockets: Socket[] = []
    lab.use('a.test:80', await TestServer.tcp((socket) => sockets.push(socket)))
    const waiting = lab.fails({ workerId: 'w1', method: 'POST' }, 'worker_unreachable')
    while (sockets.length < 1) await turns(1)
    lab.fetcher.abandonWorker('w1', 'Tor has exited')
    await waiting
    await turns()
    assert.deepEqual(lab.fetcher.forwarder.connections, { busy: 0, idle: 0 })
    assert.equal(lab.workers.leases, 0)
    assert.equal(lab.clock.pending, 0)
  })

  it('ends with its client at every moment, and when the body is not wanted', async () => {
    await using lab = await createForwardLab()
    const sockets: Socket[] = []
    const server = await TestServer.tcp((socket) => socket.on('data', () => sockets.push(socket)))
    lab.use('a.test:80', server)
    const gone = new AbortController()
    const waiting = lab.forward({}, gone.signal)
    while (sockets.length < 1) await turns(1)
    gone.abort(new Error('gone'))
    await assert.rejects(waiting, /gone/)
    await server.allClosed()

    const leaving = new AbortController()
    for (const end of [(body: Readable) => void body.destroy(), () => leaving.abort(new Error('gone'))]) {
      sockets.length = 0
      const answering = lab.forward({}, leaving.signal)
      while (sockets.length < 1) await turns(1)
      sockets[0]?.write('HTTP/1.1 200 OK\r\ncontent-length: 9\r\n\r\nhalf')
      const { body } = await answering
      body.on('error', () => {})
      end(body)
      await server.allClosed()
      await turns()
      assert.equal(lab.workers.leases, 0)
    }

    const body = new PassThrough()
    const uploading = lab.forward({ method: 'POST', body })
    body.write('half')
    body.destroy(new Error('the client left'))
    await assert.rejects(uploading, { code: 'connection_lost' })
    assert.equal(lab.clock.pending, 0)
  })

  it('sends all of a body, and gives its worker back, when the answer has come before its end', async () => {
    await using lab = await createForwardLab()
    let received = 0
    const server = await TestServer.tcp((socket) => {
      socket.once('data', () => socket.write('HTTP/1.1 200 OK\r\ncontent-length: 2\r\n\r\nok'))
      socket.on('data', (bytes) => {
        received += bytes.length
      })
    })
    lab.use('a.test:80', server)
    const chunks = Array.from({ length: 256 }, () => Buffer.alloc(65_536))
    const headers = [['Content-Length', '16777216']] as const
    const answer = await lab.forward({ method: 'POST', headers, body: Readable.from(chunks) })
    assert.equal(await text(answer.body), 'ok')
    while (received < 16_777_216) await turns(1)
    while (lab.workers.leases > 0) await turns(1)
    assert.deepEqual(lab.fetcher.forwarder.connections, { busy: 0, idle: 1 })
  })

  it('refuses what cannot be forwarded', async () => {
    await using lab = await createForwardLab()
    await lab.fails({ url: 'https://a.test/' }, 'use_connect')
    await lab.fails({ url: 'http://10.0.0.1/' }, 'target_forbidden')
    await lab.fails({ method: 'TRACE' }, 'invalid_input')
    assert.deepEqual(lab.workers.selections, [])
  })

  it('is of the session that its key names', async () => {
    await using lab = await createForwardLab()
    await lab.serve('a.test:80', (_, response) => response.end('ok'))
    for (let n = 0; n < 3; n++) await text((await lab.forward({ stickyKey: 'me' })).body)
    assert.equal(new Set(lab.workers.reports.map(([worker]) => worker)).size, 1)
    lab.workers.faults.set('w1', 'worker_unreachable')
    lab.fetcher.dropConnections('w1')
    await text((await lab.forward({ stickyKey: 'me' })).body)
    assert.deepEqual(lab.moved, ['w2'])
  })
})

async function text(body: Readable): Promise<string> {
  const chunks: Buffer[] = []
  for await (const chunk of body) chunks.push(chunk)
  return Buffer.concat(chunks).toString()
}

async function createForwardLab(options: { readonly verdictMs?: number } = {}) {
  const moved: string[] = []
  const lab = await createFetchLab(undefined, { ...options, onSessionMoved: (worker) => void moved.push(worker) })
  const forward = (changes: Partial<ForwardRequest>, signal = never) =>
    lab.fetcher.forwarder.forward(
      { url: 'http://a.test/', method: 'GET', headers: [], body: undefined, isolation: 'destination', ...changes },
      signal,
    )
  return {
    ...lab,
    ...{ moved, forward },
    async fails(changes: Partial<ForwardRequest>, code: ProblemCode): Promise<CbtorError> {
      const error = await forward(changes).then(
        () => assert.fail('The request was answered'),
        (error: CbtorError) => error,
      )
      assert.equal(error.code, code, String(error.cause instanceof Error ? error.cause.stack : error.stack))
      return error
    },
  }
}

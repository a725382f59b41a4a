import assert from 'node:assert/strict'
import { once } from 'node:events'
import type { Socket } from 'node:net'
import type { Readable } from 'node:stream'
import { describe, it } from 'node:test'
import { gzipSync } from 'node:zlib'
import type { CbtorError } from '../domain/errors.ts'
import type { FetchRequest } from '../domain/exchange.ts'
import { createFetchLab, turns } from './test-fetch-lab.ts'
import { EXIT, fetchRequest, TestServer } from './test-lab.ts'

const never = new AbortController().signal
const GB = 1024 ** 3

type Lab = Awaited<ReturnType<typeof createFetchLab>>

function stream(lab: Lab, url: string, changes: Partial<FetchRequest> = {}, signal = never) {
  return lab.fetcher.stream(fetchRequest(url, { maxBytes: Number.POSITIVE_INFINITY, ...changes }), signal)
}

async function textOf(body: Readable): Promise<Buffer> {
  const chunks: Buffer[] = []
  for await (const chunk of body) chunks.push(chunk)
  return Buffer.concat(chunks)
}

describe('stream()', { timeout: 20_000 }, () => {
  it('hands out the head while the body is still to come, and the body as it is on the wire', async () => {
    await using lab = await createFetchLab()
    const coded = gzipSync('the whole body')
    const rest = Promise.withResolvers<void>()
    await lab.serve('a.test:80', async (_, response) => {
      response.writeHead(404, 'Gone Fishing', { 'content-encoding': 'gzip', 'content-length': coded.length })
      response.write(coded.subarray(0, 5))
      await rest.promise
      response.end(coded.subarray(5))
    })
    const answer = await stream(lab, 'http://a.test/')
    assert.deepEqual([answer.status, answer.statusText], [404, 'Gone Fishing'])
    assert.deepEqual(
      answer.headers.filter(([name]) => name.startsWith('content-')),
      [
        ['content-encoding', 'gzip'],
        ['content-length', String(coded.length)],
      ],
    )
    assert.deepEqual([answer.worker, answer.exit, answer.attempts.length], ['w1', EXIT, 1])
    assert.equal(lab.workers.leases, 1, 'the worker is held while the body goes on')
    rest.resolve()
    assert.deepEqual(await textOf(answer.body), coded)
    const { receipt, failure } = await answer.ended
    assert.equal(failure, undefined)
    assert.equal(receipt.bytes.decoded, coded.length)
    assert.ok(receipt.bytes.received > coded.length)
    assert.deepEqual([lab.workers.leases, lab.clock.pending], [0, 1], 'but for the kept connection')
    assert.deepEqual(lab.fetcher.connections, { busy: 0, idle: 1 })
    const again = await stream(lab, 'http://a.test/', { workerId: answer.worker })
    assert.equal(again.connectionReused, true)
    again.body.destroy()
    await again.ended
  })

  it('tries other workers until the first byte of an answer, follows redirects, and hedges', async () => {
    await using lab = await createFetchLab()
    await lab.serve('a.test:80', (_, response) => response.writeHead(302, { location: 'http://b.test/' }).end())
    await lab.serve('b.test:80', (_, response) => response.end('b'))
    lab.workers.faults.set('w1', 'worker_unreachable')
    const answer = await stream(lab, 'http://a.test/')
    assert.deepEqual(
      answer.attempts.map(({ worker, outcome }) => `${worker} ${outcome}`),
      ['w1 worker_unreachable', 'w2 ok'],
    )
    assert.deepEqual([answer.url, answer.redirects.length], ['http://b.test/', 1])
    assert.equal(String(await textOf(answer.body)), 'b')

    lab.workers.faults.set('w3', 'hang')
    const hedging = stream(lab, 'http://b.test/', { hedge: true })
    const hedged = await lab.passUntil(hedging)
    assert.equal(hedged.hedged, true)
    hedged.body.resume()
    await hedged.ended
    assert.equal(lab.workers.leases, 0)
  })

  it('lets go of all of the other answer when both workers of a hedge answer at once', async () => {
    await using lab = await createFetchLab()
    const waiting: (() => void)[] = []
    const server = await lab.serve('a.test:80', (_, response) => {
      waiting.push(() => response.write('x'))
      if (waiting.length === 2) for (const answer of waiting) answer()
    })
    const answer = await lab.passUntil(stream(lab, 'http://a.test/', { hedge: true }))
    assert.deepEqual(answer.attempts.map(({ outcome }) => outcome).sort(), ['hedge_lost', 'ok'])
    await turns()
    assert.deepEqual([lab.workers.leases, lab.fetcher.connections.busy, server.sockets.size], [1, 1, 1])
    answer.body.destroy()
    await answer.ended
    await server.allClosed()
    assert.deepEqual([lab.workers.leases, lab.clock.pending], [0, 0])
  })

  it('reads no faster than it is read', async () => {
    await using lab = await createFetchLab()
    const server = await lab.serve('a.test:80', (_, response) => {
      const chunk = Buffer.alloc(64 * 1024)
      const write = () => {
        while (response.write(chunk));
        response.once('drain', write)
      }
      write()
    })
    const { body, ended } = await stream(lab, 'http://a.test/')
    await turns(300)
    const [socket] = server.sockets
    const written = socket?.bytesWritten ?? GB
    await turns(300)
    assert.ok(written < 32 * 1024 ** 2 && (socket?.bytesWritten ?? GB) === written, `${written} bytes`)
    assert.ok(body.readableLength <= 256 * 1024, `${body.readableLength} bytes wait`)
    body.destroy()
    assert.equal((await ended).failure?.code, 'client_gone')
    await server.allClosed()
  })

  it('never ends a body in order that is not whole', async () => {
    await using lab = await createFetchLab()
    const cases: [name: string, head: string, onHead: (socket: Socket) => void][] = [
      ['length', 'content-length: 100', (socket) => socket.end()],
      ['chunked', 'transfer-encoding: chunked\r\n\r\n5\r\nabcde\r\n9', (socket) => socket.end()],
      ['misframed', 'transfer-encoding: chunked\r\n\r\n5\r\nabcde\r\n\r\n', (socket) => socket.end()],
      ['reset', 'content-length: 100', (socket) => setImmediate(() => socket.resetAndDestroy())],
    ]
    for (const [name, head, onHead] of cases) {
      lab.use(
        `${name}.test:80`,
        await TestServer.tcp((socket) =>
          socket.once('data', () =>
            socket.write(`HTTP/1.1 200 OK\r\n${head}\r\n${head.includes('\n') ? '' : '\r\n'}x`, () => onHead(socket)),
          ),
        ),
      )
      const { body, ended } = await stream(lab, `http://${name}.test/`)
      await assert.rejects(textOf(body), name)
      assert.equal((await ended).failure?.code, name === 'misframed' ? 'bad_response' : 'connection_lost', name)
    }
    assert.deepEqual([lab.workers.leases, lab.fetcher.connections.busy], [0, 0])
  })

  it('does not take the end of a worker for the end of a body that only the connection ends', async () => {
    await using lab = await createFetchLab(undefined, { verdictMs: 100 })
    let head = 'HTTP/1.1 200 OK\r\n\r\n'
    const server = await TestServer.tcp((socket) => socket.once('data', () => socket.write(`${head}half of it`)))
    lab.use('a.test:80', server)
    const whole = await stream(lab, 'http://a.test/')
    for (const socket of server.sockets) socket.end()
    assert.equal(String(await lab.passUntil(textOf(whole.body))), 'half of it')

    for (const coding of ['', 'transfer-encoding: gzip\r\n']) {
      head = `HTTP/1.1 200 OK\r\n${coding}\r\n`
      const lost = await stream(lab, 'http://a.test/')
      const reading = textOf(lost.body)
      reading.catch(() => {})
      for (const socket of server.sockets) socket.end()
      await turns()
      lab.fetcher.abandonWorker(lost.worker, 'it died')
      await assert.rejects(lab.passUntil(reading), coding)
      assert.equal((await lost.ended).failure?.code, 'worker_unreachable')
    }
  })

  it('has its time limit for the head, and for each pause after it', async () => {
    await using lab = await createFetchLab()
    const sockets: Socket[] = []
    lab.use('a.test:80', await TestServer.tcp((socket) => socket.once('data', () => sockets.push(socket))))
    const late = stream(lab, 'http://a.test/', { timeoutMs: 5_000, workerId: 'w1' })
    const code = lab.passUntil(late).catch((error: CbtorError) => error.code)
    assert.equal(await code, 'timeout')

    const slow = stream(lab, 'http://a.test/', { timeoutMs: 5_000, workerId: 'w1' })
    await turns()
    const socket = sockets.at(-1)
    socket?.write('HTTP/1.1 200 OK\r\ncontent-length: 100\r\n\r\n')
    const { body, ended } = await slow
    body.resume()
    for (let n = 0; n < 5; n++) {
      await lab.clock.advance(4_000)
      socket?.write('x')
      await turns()
    }
    assert.equal(body.destroyed, false, '20 s are no pause')
    await lab.clock.advance(5_000)
    const { failure } = await ended
    assert.deepEqual([failure?.code, /sends no more/.test(failure?.message ?? '')], ['timeout', true])
    assert.deepEqual([lab.workers.leases, lab.clock.pending], [0, 0])
  })

  it('gives up a reader who takes nothing', async () => {
    await using lab = await createFetchLab()
    await lab.serve('a.test:80', (_, response) => response.end(Buffer.alloc(8 * 1024 ** 2)))
    const { ended } = await stream(lab, 'http://a.test/', { timeoutMs: 5_000 })
    await turns(200)
    await lab.clock.advance(5_000)
    assert.match((await ended).failure?.message ?? '', /nobody takes it/)
    assert.equal(lab.workers.leases, 0)
  })

  it('has all the time in the world for who reads slowly, but reads', async () => {
    await using lab = await createFetchLab()
    await lab.serve('a.test:80', (_, response) => response.end(Buffer.alloc(40_000)))
    const { body, ended } = await stream(lab, 'http://a.test/', { timeoutMs: 5_000 })
    await turns(100)
    let taken = 0
    while (taken < 40_000) {
      taken += (body.read(Math.min(4_000, body.readableLength)) ?? []).length
      await lab.clock.advance(4_000)
    }
    body.resume()
    assert.equal((await ended).failure, undefined)
  })

  it('frees everything when its caller leaves', async () => {
    await using lab = await createFetchLab()
    const server = await lab.serve('a.test:80', (_, response) => response.write('x'))
    const caller = new AbortController()
    const { body, ended } = await stream(lab, 'http://a.test/', {}, caller.signal)
    const closed = once(body, 'close').catch(() => {})
    caller.abort(new Error('gone'))
    await closed
    assert.equal((await ended).failure?.code, 'client_gone')
    await server.allClosed()
    assert.deepEqual([lab.workers.leases, lab.clock.pending], [0, 0])
    assert.deepEqual(lab.fetcher.connections, { busy: 0, idle: 0 })
  })

  it('keeps to maxBytes: an error before the head when the size is told, else in the middle, or a cut', async () => {
    await using lab = await createFetchLab()
    await lab.serve('a.test:80', (request, response) => {
      if (request.url === '/told') response.setHeader('content-length', 10)
      response.write('01234')
      response.end('56789')
    })
    for (const allowTruncated of [false, true]) {
      for (const url of ['http://a.test/told', 'http://a.test/untold']) {
        const whole = await stream(lab, url, { maxBytes: 10, allowTruncated })
        assert.equal((await textOf(whole.body)).length, 10)
        assert.equal((await whole.ended).receipt.truncated, false)
      }
    }
    await assert.rejects(stream(lab, 'http://a.test/told', { maxBytes: 7 }), { code: 'response_too_large' })
    const untold = await stream(lab, 'http://a.test/untold', { maxBytes: 7 })
    await assert.rejects(textOf(untold.body), { code: 'response_too_large' })
    assert.equal((await untold.ended).failure?.code, 'response_too_large')
    for (const url of ['http://a.test/told', 'http://a.test/untold']) {
      const cut = await stream(lab, url, { maxBytes: 7, allowTruncated: true })
      assert.equal(cut.bodyLength, url.endsWith('/told') ? 7 : undefined)
      assert.equal(String(await textOf(cut.body)), '0123456')
      const { receipt, failure } = await cut.ended
      assert.deepEqual([receipt.truncated, receipt.bytes.decoded, failure], [true, 7, undefined])
    }
    assert.equal(lab.workers.leases, 0)
  })

  it('has an empty body for HEAD, 204 and 304', async () => {
    await using lab = await createFetchLab()
    await lab.serve('a.test:80', (request, response) => {
      response.statusCode = Number(request.url?.slice(1))
      response.end(response.statusCode === 200 ? 'x' : undefined)
    })
    for (const [method, status] of [
      ['HEAD', 200],
      ['GET', 204],
      ['GET', 304],
    ] as const) {
      const answer = await stream(lab, `http://a.test/${status}`, { method, maxBytes: 1 })
      assert.equal(answer.bodyLength, 0)
      assert.equal((await textOf(answer.body)).length, 0)
      assert.equal((await answer.ended).failure, undefined)
      assert.deepEqual([answer.status, lab.workers.leases], [status, 0])
    }
  })

  it('tells a session where it is', async () => {
    await using lab = await createFetchLab()
    await lab.serve('a.test:80', (_, response) => response.end('x'))
    const moved = []
    for (const worker of ['w1', 'w2']) {
      lab.workers.down.clear()
      lab.workers.down.add(worker === 'w1' ? 'w2' : 'w1').add('w3')
      const answer = await stream(lab, 'http://a.test/', { stickyKey: 'me' })
      answer.body.resume()
      await answer.ended
      moved.push([answer.worker, answer.sessionMoved ?? false])
    }
    assert.deepEqual(moved, [
      ['w1', false],
      ['w2', true],
    ])
  })
})

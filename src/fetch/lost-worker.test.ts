import assert from 'node:assert/strict'
import { describe, it } from 'node:test'
import { createFetchLab, turns } from './test-fetch-lab.ts'
import { makeCertificate, TestServer } from './test-lab.ts'

describe('a connection that gets lost', { timeout: 30_000 }, () => {
  it("calls a connection that got lost with its worker the worker's loss, whatever had come of the answer", async () => {
    const certificate = makeCertificate()
    const head = 'HTTP/1.1 200 OK\r\n'
    const cases: [url: string, sent: string, method: string][] = [
      ['http://a.test/', '', 'GET'],
      ['http://a.test/', '', 'POST'],
      ['http://a.test/', `${head}content-length: 9\r\n\r\nhalf`, 'POST'],
      ['http://a.test/', `${head}\r\nwithout a length`, 'POST'],
      ['https://a.test/', '', 'POST'],
    ]
    for (const [url, sent, method] of cases) {
      await using lab = await createFetchLab(certificate.cert, { verdictMs: 150 })
      const lost = Promise.withResolvers<void>()
      const server = await TestServer.tcp((socket) =>
        socket.once('data', () => socket.end(sent)).once('close', () => lost.resolve()),
      )
      lab.use('a.test:80', server)
      lab.use('a.test:443', server)
      const failing = lab.fails(url, 'worker_unreachable', { method, workerId: 'w1' })
      await lost.promise
      await turns()
      await lab.clock.advance(149)
      lab.fetcher.abandonWorker('w1', 'Tor has exited')
      const { message, attempts } = await failing
      assert.match(message, /Tor has exited/)
      assert.deepEqual(attempts, [{ worker: 'w1', outcome: 'worker_unreachable', ms: 149 }])
      assert.equal(lab.clock.pending, 0)
    }
  })

  it("calls a lost connection the target's doing when nobody says otherwise in time", async () => {
    await using lab = await createFetchLab(undefined, { verdictMs: 150 })
    const lost = Promise.withResolvers<void>()
    lab.use(
      'a.test:80',
      await TestServer.tcp((socket) =>
        socket.on('data', () => socket.resetAndDestroy()).once('close', () => lost.resolve()),
      ),
    )
    const failing = lab.fails('http://a.test/', 'connection_lost', { method: 'POST' })
    await lost.promise
    await turns()
    lab.fetcher.abandonWorker('w2', 'Tor has exited')
    await lab.clock.advance(150)
    assert.deepEqual((await failing).attempts, [{ worker: 'w1', outcome: 'connection_lost', ms: 150 }])

    const late = lab.fails('http://a.test/', 'connection_lost', { method: 'POST', workerId: 'w1', timeoutMs: 100 })
    while (lab.workers.dials.length < 2) await turns(1)
    await turns()
    await lab.clock.advance(100)
    assert.deepEqual((await late).attempts, [{ worker: 'w1', outcome: 'connection_lost', ms: 100 }])
  })

  it('says when another worker may be there, if there was none to go to', async () => {
    await using lab = await createFetchLab()
    lab.workers.faults.set('w1', 'worker_unreachable').set('w2', 'connection_refused')
    const { retryAfterMs } = await lab.fails('http://a.test/', 'worker_unreachable', { workerId: 'w1' })
    assert.equal(retryAfterMs, 5)
    const refused = await lab.fails('http://a.test/', 'connection_refused', { workerId: 'w2' })
    assert.equal(refused.retryAfterMs, undefined)
  })

  it('moves all requests off a worker that died, however many, though their sockets knew first', async () => {
    await using lab = await createFetchLab(undefined, { verdictMs: 150 })
    const dying = lab.use('dying.test:80', await TestServer.tcp((socket) => socket.resume()))
    await lab.serve('a.test:80', (_, response) => response.end('ok'))
    lab.workers.faults.set('w1', dying.port)
    const fetches = Array.from({ length: 40 }, () => {
      lab.workers.rewind()
      return lab.fetch('http://a.test/', { isolation: 'request' })
    })
    while (dying.sockets.size < 40) await turns(1)
    await turns()
    for (const socket of dying.sockets) socket.destroy()
    await dying.allClosed()
    await turns()
    lab.fetcher.abandonWorker('w1', 'Tor has exited')
    for (const { attempts } of await Promise.all(fetches))
      assert.deepEqual(
        attempts.map(({ outcome }) => outcome),
        ['worker_unreachable', 'ok'],
      )
  })
})

import assert from 'node:assert/strict'
import { describe, it } from 'node:test'
import { createFetchLab } from './test-fetch-lab.ts'
import { EXIT, makeCertificate, TestServer } from './test-lab.ts'

describe('the receipt of a fetch', () => {
  it('names what the identity was shared by', async () => {
    await using lab = await createFetchLab()
    await lab.serve('a.test:80', (_, response) => response.end('x'))
    const kinds = []
    for (const changes of [{}, { isolation: 'request' }, { isolation: 'none' }, { stickyKey: 'me' }] as const) {
      kinds.push((await lab.fetch('http://a.test/', changes)).identity)
    }
    assert.deepEqual(kinds, ['destination', 'request', 'none', 'sticky'])
  })

  it('has the path of the circuit only when it is asked for', async () => {
    await using lab = await createFetchLab()
    await lab.serve('a.test:80', (_, response) => response.end('x'))
    const path = [{ nickname: 'guard1', fingerprint: 'B'.repeat(40), country: 'se' }, EXIT]
    assert.ok(!('circuitPath' in (await lab.fetch('http://a.test/'))))
    assert.equal((await lab.fetch('http://a.test/', { circuitPath: true })).circuitPath, undefined)
    lab.workers.askPath = async () => path
    assert.deepEqual((await lab.fetch('http://a.test/', { circuitPath: true })).circuitPath, path)
  })

  it('counts the bytes of redirects and of tries that failed, each once', async () => {
    await using lab = await createFetchLab()
    const filler = 'x'.repeat(10_000)
    let requests = 0
    await lab.serve('a.test:80', (request, response) => {
      if (request.url === '/from') response.writeHead(302, { location: '/to', 'x-filler': filler }).end()
      else if (request.url === '/to' && requests++ === 0) response.write(filler, () => response.destroy())
      else response.end('whole')
    })
    const answer = await lab.fetch('http://a.test/from')
    assert.equal(answer.bytes.decoded, 'whole'.length)
    const { received, sent } = answer.bytes
    assert.ok(received > 20_000 && received < 22_000, `${received}`)
    assert.ok(sent > 900 && sent < 1_500, `${sent}`)
    const again = await lab.fetch('http://a.test/to', { workerId: answer.worker })
    assert.equal(again.connectionReused, true)
    assert.ok(again.bytes.received < 1_000 && again.bytes.sent < 500, JSON.stringify(again.bytes))
  })

  it('says that a body was cut, when that was allowed, and keeps nothing of its connection', async () => {
    await using lab = await createFetchLab()
    await lab.serve('a.test:80', (_, response) => response.end('0123456789'))
    await lab.fails('http://a.test/', 'response_too_large', { maxBytes: 9 })
    const cut = await lab.fetch('http://a.test/', { maxBytes: 9, allowTruncated: true })
    assert.deepEqual([Buffer.from(cut.body).toString(), cut.truncated], ['012345678', true])
    assert.deepEqual(lab.fetcher.connections, { busy: 0, idle: 0 })
    const whole = await lab.fetch('http://a.test/', { maxBytes: 10, allowTruncated: true })
    assert.deepEqual([Buffer.from(whole.body).toString(), whole.truncated], ['0123456789', false])
  })

  it('of a failure names no exit but that of the worker that it names', async () => {
    await using lab = await createFetchLab()
    lab.use('a.test:80', await TestServer.tcp((socket) => socket.on('data', () => socket.destroy())))
    lab.workers.faults.set('w2', 'connection_refused')
    lab.workers.down.add('w3')
    const { receipt, attempts } = await lab.fails('http://a.test/', 'connection_refused')
    assert.deepEqual(
      attempts.map(({ worker, outcome }) => `${worker} ${outcome}`),
      ['w1 connection_lost', 'w2 connection_refused'],
    )
    assert.deepEqual([receipt?.worker, receipt?.route, receipt?.exit], ['w2', undefined, undefined])
    assert.deepEqual(Object.keys(receipt?.timing ?? {}), ['queueMs', 'totalMs'])
  })

  it('counts the bytes of a handshake that failed', async () => {
    await using lab = await createFetchLab()
    lab.use('a.test:443', await TestServer.https(makeCertificate(), () => {}))
    const { receipt } = await lab.fails('https://a.test/', 'tls_untrusted', { workerId: 'w1' })
    assert.ok(receipt && receipt.bytes.received > 500 && receipt.bytes.sent > 200, JSON.stringify(receipt?.bytes))
  })

  it('of a failure says how far it came', async () => {
    await using lab = await createFetchLab()
    lab.use('a.test:80', await TestServer.tcp((socket) => socket.on('data', () => socket.destroy())))
    const { receipt } = await lab.fails('http://a.test/', 'connection_lost', { workerId: 'w2' })
    assert.ok(receipt)
    const { bytes, ...rest } = receipt
    assert.deepEqual(rest, {
      identity: 'destination',
      worker: 'w2',
      route: 'socks',
      exit: EXIT,
      timing: { queueMs: 0, connectMs: 0, tlsMs: 0, totalMs: 0 },
    })
    assert.ok(bytes.sent > 0)

    const refused = await lab.fails('http://b.test/', 'resolve_failed')
    assert.deepEqual([refused.receipt?.route, refused.receipt?.exit], [undefined, undefined])
    assert.deepEqual(refused.receipt?.bytes, { received: 0, sent: 0 })
    assert.equal(refused.receipt?.worker, refused.attempts.at(-1)?.worker)
    assert.equal((await lab.fails('http://127.0.0.1/', 'target_forbidden')).receipt, undefined)
  })
})

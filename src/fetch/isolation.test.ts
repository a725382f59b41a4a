import assert from 'node:assert/strict'
import type { Socket } from 'node:net'
import { describe, it } from 'node:test'
import fc from 'fast-check'
import { createFetchLab, turns } from './test-fetch-lab.ts'
import { isTls, makeCertificate, own, TestServer, wireOf } from './test-lab.ts'

/** One step of a scenario: who fetches what. */
const step = fc.record({
  stickyKey: fc.constantFrom('alice', 'bob', 'carol'),
  url: fc.constantFrom('http://a.test/', 'https://a.test/', 'https://b.test/', 'http://b.test/to-a'),
  method: fc.constantFrom('GET', 'POST'),
  workerId: fc.constantFrom('w1', 'w2'),
})

describe('isolation', { timeout: 60_000 }, () => {
  const certificate = makeCertificate()

  it('never lets two identities share a connection or a TLS session, in any order and at once', async () => {
    await fc.assert(
      fc.asyncProperty(fc.array(fc.array(step, { minLength: 1, maxLength: 4 }), { maxLength: 4 }), async (rounds) => {
        await using lab = await createFetchLab(certificate.cert)
        /** By what the server saw: who came over each connection. */
        const comers = new Map<string, Set<string>>()
        const listener: Parameters<typeof TestServer.http>[0] = (request, response) => {
          const wire = wireOf(request.socket)
          comers.set(wire, (comers.get(wire) ?? new Set()).add(String(request.headers['x-who'])))
          if (isTls(request.socket)) assert.equal(request.socket.isSessionReused(), false)
          if (request.url === '/to-a') response.writeHead(307, { location: 'http://a.test/' }).end()
          else response.end('ok')
        }
        const plain = await lab.serve('a.test:80', listener)
        lab.workers.network.set('b.test:80', plain.port)
        const secure = lab.use('a.test:443', await TestServer.https(certificate, listener))
        lab.workers.network.set('b.test:443', secure.port)

        for (const round of rounds) {
          await Promise.all(
            round.map(({ url, ...request }) =>
              lab.fetch(url, { ...request, headers: [['x-who', `${request.stickyKey} on ${request.workerId}`]] }),
            ),
          )
        }
        const dials = new Map(lab.workers.dials.map((dial) => [dial.wire, dial]))
        const tokens = new Map<string, string>()
        for (const [wire, who] of comers) {
          assert.equal(who.size, 1, `one connection carried ${[...who].join(' and ')}`)
          const dial = dials.get(wire)
          assert.ok(dial)
          const [name = '', worker] = [...who].join().split(' on ')
          assert.equal(dial.worker, worker)
          assert.equal(tokens.get(name) ?? dial.token, dial.token, 'one identity has one token')
          tokens.set(name, dial.token)
        }
        assert.equal(new Set(tokens.values()).size, tokens.size)
      }),
      { numRuns: 40 },
    )
  })

  it('takes a new identity for each request when asked to, and keeps none of its connections', async () => {
    await using lab = await createFetchLab()
    const server = await lab.serve('a.test:80', (_, response) => response.end('ok'))
    for (let n = 0; n < 5; n++) await lab.fetch('http://a.test/', { isolation: 'request', workerId: 'w1' })
    assert.equal(new Set(lab.workers.dials.map(({ token }) => token)).size, 5)
    assert.equal(server.accepted, 5)
    assert.equal(lab.fetcher.connections.idle, 0)
  })

  it('takes one identity for a destination, however it is written', async () => {
    await using lab = await createFetchLab()
    await lab.serve('a.test:80', (_, response) => response.end('ok'))
    for (const host of ['a.test', 'A.TEST', 'a.test.', 'ａ.test'])
      await lab.fetch(`http://${host}/`, { workerId: 'w1' })
    assert.equal(lab.workers.dials.length, 1)
  })

  it('has the workers forget who nobody will be any more, and not before the last request as it has ended', async () => {
    await using lab = await createFetchLab()
    const { dials, forgotten } = lab.workers
    const sockets: Socket[] = []
    lab.use('a.test:80', await TestServer.tcp((socket) => socket.on('data', () => sockets.push(socket))))
    await lab.serve('b.test:80', (_, response) => response.end('ok'))

    lab.workers.faults.set('w1', 'tor_failure')
    await lab.fetch('http://b.test/', { isolation: 'request' })
    const [dial] = dials
    assert.ok(dial)
    assert.deepEqual(forgotten, [
      ['w1', dial.token],
      ['w2', dial.token],
    ])
    await lab.fetch('http://b.test/')
    await lab.fetch('http://b.test/', { isolation: 'none' })
    assert.equal(forgotten.length, 2)

    lab.workers.faults.clear()
    forgotten.length = 0
    const fetching = lab.fetch('http://a.test/', { stickyKey: 'me' })
    while (sockets.length < 1) await turns(1)
    const session = dials.at(-1)
    lab.fetcher.rotateSession(own('me'))
    assert.deepEqual(forgotten, [])
    sockets[0]?.write('HTTP/1.1 200 OK\r\ncontent-length: 0\r\n\r\n')
    await fetching
    assert.deepEqual(forgotten, [[session?.worker, session?.token]])

    await lab.fetch('http://b.test/', { stickyKey: 'me' })
    lab.fetcher.endSession(own('me'))
    assert.equal(forgotten.length, 2)
    assert.notEqual(forgotten[1]?.[1], session?.token)
  })
})

import assert from 'node:assert/strict'
import { once } from 'node:events'
import { Duplex } from 'node:stream'
import { describe, it } from 'node:test'
import type { Identity } from '../domain/identity.ts'
import { FakeClock } from '../lib/fake-clock.ts'
import { Connection } from './connection.ts'
import { Connections, type Destination } from './connections.ts'
import { ForwardConnection } from './forward-connection.ts'
import { discardBody } from './response-body.ts'
import { TestServer, TestWorkers } from './test-lab.ts'
import { createHandshake } from './tls.ts'

const never = new AbortController().signal
const ALICE: Identity = { token: 'alice', isOneOff: false, keepsExit: false }
const BOB: Identity = { token: 'bob', isOneOff: false, keepsExit: false }

describe('Connections', { timeout: 20_000 }, () => {
  it('keeps a connection for the same worker, identity and origin, and for nothing else', async () => {
    await using lab = await createLab()
    const used = await lab.use('w1', to('a.test', ALICE))
    lab.connections.release(used, ALICE)

    assert.equal(lab.connections.takeIdle('w2', to('a.test', ALICE)), undefined)
    assert.equal(lab.connections.takeIdle('w1', to('a.test', BOB)), undefined)
    assert.equal(lab.connections.takeIdle('w1', to('b.test', ALICE)), undefined)
    assert.equal(lab.connections.takeIdle('w1', to('a.test', ALICE, 81)), undefined)
    assert.equal(lab.connections.takeIdle('w1', to('a.test', ALICE)), used)
    assert.equal(lab.connections.takeIdle('w1', to('a.test', ALICE)), undefined, 'it serves one at a time')

    await lab.exchange(used)
    assert.equal(used.isReused, true)
    assert.equal(lab.server.accepted, 1)
  })

  it('ends a connection that has waited for 30 s', async () => {
    await using lab = await createLab()
    lab.connections.release(await lab.use('w1', to('a.test', ALICE)), ALICE)
    await lab.clock.advance(29_999)
    assert.equal(lab.connections.counts.idle, 1)
    await lab.clock.advance(1)
    assert.equal(lab.connections.counts.idle, 0)
    await lab.server.allClosed()
    assert.equal(lab.clock.pending, 0)
  })

  it('forgets a connection that the target closes', async () => {
    await using lab = await createLab()
    const connection = await lab.use('w1', to('a.test', ALICE))
    lab.connections.release(connection, ALICE)
    const closed = Promise.withResolvers<void>()
    const { whenClosed } = connection
    connection.whenClosed = () => {
      whenClosed?.()
      closed.resolve()
    }
    for (const socket of lab.server.sockets) socket.end()
    await closed.promise
    assert.equal(lab.connections.counts.idle, 0)
    assert.equal(lab.clock.pending, 0)
  })

  it('takes none whose target has ended its side, though there is a socket to write to', async () => {
    const socket = new Duplex({ read() {}, write: (_chunk, _coding, done) => done() })
    const key = { workerId: 'w1', token: 'alice', notBy: '', origin: 'http://a.test' }
    const connection = new ForwardConnection({ key, socket, keepAliveMs: 30_000, clock: new FakeClock() })
    assert.equal(connection.isOpen, true)
    socket.push(null)
    await once(socket.resume(), 'end')
    assert.deepEqual([connection.isOpen, socket.writable], [false, true])
  })

  it('keeps nothing of an identity that will not come again', async () => {
    await using lab = await createLab()
    const oneOff = { token: 'once', isOneOff: true, keepsExit: false }
    lab.connections.release(await lab.use('w1', to('a.test', oneOff)), oneOff)
    assert.equal(lab.connections.counts.idle, 0)
    await lab.server.allClosed()
  })

  it('keeps so many and no more, ending the one that has waited longest', async () => {
    await using lab = await createLab(3)
    for (const token of ['1', '2', '3', '4']) {
      const identity = { token, isOneOff: false, keepsExit: false }
      lab.connections.release(await lab.use('w1', to('a.test', identity)), identity)
    }
    assert.equal(lab.connections.counts.idle, 3)
    assert.equal(
      lab.connections.takeIdle('w1', to('a.test', { token: '1', isOneOff: false, keepsExit: false })),
      undefined,
    )
    assert.ok(lab.connections.takeIdle('w1', to('a.test', { token: '2', isOneOff: false, keepsExit: false })))
  })

  it("drops a worker's idle connections at once and those in use after their exchange", async () => {
    await using lab = await createLab()
    const busy = await lab.use('w1', to('a.test', ALICE))
    lab.connections.release(await lab.use('w1', to('a.test', BOB)), BOB)
    const other = await lab.use('w2', to('a.test', BOB))
    lab.connections.release(other, BOB)

    lab.connections.dropWorker('w1')
    assert.equal(lab.connections.counts.idle, 1)
    await lab.exchange(busy)
    lab.connections.release(busy, ALICE)
    assert.equal(busy.isOpen, false)
    assert.equal(lab.connections.takeIdle('w2', to('a.test', BOB)), other)
  })

  it('ends everything when disposed', async () => {
    await using lab = await createLab()
    lab.connections.release(await lab.use('w1', to('a.test', ALICE)), ALICE)
    await lab.use('w1', to('a.test', BOB))
    lab.connections[Symbol.dispose]()
    await lab.server.allClosed()
    assert.equal(lab.clock.pending, 0)
  })

  it('holds no more after many identities than after few', async () => {
    await using lab = await createLab(8)
    for (let n = 0; n < 1500; n++) {
      const identity = { token: `t${n}`, isOneOff: n % 2 === 0, keepsExit: false }
      lab.connections.release(await lab.use('w1', to('a.test', identity)), identity)
    }
    assert.equal(lab.connections.counts.idle, 8)
    assert.equal(lab.clock.pending, 8)
    lab.connections[Symbol.dispose]()
    await lab.server.allClosed()
  })
})

function to(host: string, identity: Identity, port = 80): Destination {
  return { url: new URL(`http://${host}:${port}/`), target: { host, port }, identity }
}

async function createLab(maxIdle = 10) {
  const server = await TestServer.http((_, response) => response.end('hello'))
  const workers = new TestWorkers()
  for (const address of ['a.test:80', 'a.test:81', 'b.test:80']) workers.network.set(address, server.port)
  const clock = new FakeClock()
  const connections = new Connections({
    clock,
    handshake: createHandshake(),
    create: (options) => new Connection(options),
    maxIdle,
  })

  const exchange = async (connection: Connection) => {
    const { head, body } = connection.send({ method: 'GET', path: '/', headers: [], body: undefined }, () => {})
    assert.equal((await head).status, 200)
    await discardBody(body, clock)
  }
  const use = async (worker: string, destination: Destination) => {
    const lease = workers.acquire({ key: '', workerId: worker }, new Set())
    const connection = await connections.open(lease, destination, { onStream() {} }, never)
    await exchange(connection)
    return connection
  }
  return {
    ...{ server, clock, connections, exchange, use },
    async [Symbol.asyncDispose]() {
      connections[Symbol.dispose]()
      await server[Symbol.asyncDispose]()
    },
  }
}

import assert from 'node:assert/strict'
import { randomBytes } from 'node:crypto'
import { once } from 'node:events'
import { mkdtempSync, rmSync } from 'node:fs'
import { connect as connectPlain, createServer, type Socket } from 'node:net'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { text } from 'node:stream/consumers'
import { describe, it } from 'node:test'
import { connect as connectTls, createServer as createTlsServer, type TLSSocket } from 'node:tls'
import { makeCertificates } from '../../../test/bad-inputs/certificates.ts'
import { ofClient, workerPortKey } from '../../cluster/worker-port/secured.ts'
import { CbtorError, codeOf } from '../../domain/errors.ts'
import type { Identity } from '../../domain/identity.ts'
import { FakeClock } from '../../lib/fake-clock.ts'
import { seededRandom } from '../../lib/random.ts'
import type { ConnectOptions, DriverEvent } from '../driver.ts'
import { FakeDriver } from '../fake/fake-driver.ts'
import { openTestPort } from './test-peers.ts'

const never = new AbortController().signal
const identity: Identity = { token: 't'.repeat(43), isOneOff: false, keepsExit: true, owner: 'k1' }
const target = { host: 'www.cbtor.test', port: 80 }

/** A worker of `gw2` whose target is `answer`, offered at a port, and a driver for it that is turned to it. */
async function createPeers(
  answer: (socket: Socket) => void,
  { isStarted = true, ...options }: Parameters<typeof openTestPort>[0] & { readonly isStarted?: boolean } = {},
) {
  await using parts = new AsyncDisposableStack()
  const worker = parts.use(
    new FakeDriver({
      id: 'gw2-tor01',
      targets: new Map([['www.cbtor.test:80', answer]]),
      exits: [{ nickname: 'exit1', fingerprint: 'A'.repeat(40) }],
    }),
  )
  await worker.start(never)
  const lab = parts.use(await openTestPort(options))
  const offer = lab.port.offer(worker)
  const driver = parts.use(lab.peer(worker.id, { limits: { heardWithinMs: 200 } }))
  const events: DriverEvent[] = []
  driver.onEvent((event) => events.push(event))
  if (isStarted) await driver.start(never)
  const owned = parts.move()
  return { worker, lab, offer, driver, events, [Symbol.asyncDispose]: () => owned.disposeAsync() }
}

/** The next connection of the worker, at the replica that has it. */
function socketOf(worker: FakeDriver): Promise<Socket> {
  const { promise, resolve } = Promise.withResolvers<Socket>()
  const { connect } = worker
  worker.connect = async (...request) => {
    const connection = await connect.apply(worker, request)
    resolve(connection.socket)
    return connection
  }
  return promise
}

function silent(): void {}

async function until(isSo: () => boolean): Promise<void> {
  for (let turn = 0; !isSo(); turn++) {
    assert.ok(turn < 5_000, 'it never came to be so')
    await new Promise((resolve) => setTimeout(resolve, 1))
  }
}

describe('the worker port', { timeout: 60_000 }, () => {
  it('carries much in both directions at the speed of who reads, and an end of one side alone', async () => {
    const received = Promise.withResolvers<string>()
    const sent = seededRandom(1).bytes(3_000_000).toString('base64')
    const asked = seededRandom(2).bytes(2_000_000).toString('base64')
    await using lab = await createPeers((socket) => {
      // It answers when it has heard the end of what is asked.
      void text(socket).then((all) => {
        received.resolve(all)
        socket.end(sent)
      })
    })
    const { socket } = await lab.driver.connect(target, identity, never)
    socket.end(asked)
    assert.equal(await received.promise, asked)
    await new Promise((resolve) => setTimeout(resolve, 100))
    assert.ok(socket.bytesRead < sent.length, 'what nobody reads waits at the other replica')
    assert.equal(await text(socket), sent)
    await until(() => lab.lab.port.connections === 1)
  })

  it('gives the target, the identity, the first bytes and the options on as they are', async () => {
    const given: unknown[] = []
    await using lab = await createPeers((socket) => void socket.once('data', (said) => socket.end(said)))
    const { connect } = lab.worker
    lab.worker.connect = (to, as, signal, options) => {
      given.push(to, as, options)
      return connect.call(lab.worker, to, as, signal, options)
    }
    const demand = { country: 'de', excludeCountries: ['us'], notBy: ['B'.repeat(40)] }
    const options: ConnectOptions = { mustBeConfirmed: true, isCheck: true }
    const early = Buffer.from([0, 255, 10, 13])
    await assert.rejects(lab.driver.connect(target, { ...identity, exit: demand }, never, options))
    const { socket } = await lab.driver.connect(target, identity, never, { earlyData: early })
    const answer: Buffer[] = []
    for await (const chunk of socket) answer.push(chunk)
    assert.deepEqual(Buffer.concat(answer), early)
    assert.deepEqual(given, [target, { ...identity, exit: demand }, options, target, identity, { earlyData: early }])
  })

  it('has a stream that breaks at its worker break here, not end', async () => {
    await using lab = await createPeers((socket) => void socket.write('the first half'))
    const ofWorker = socketOf(lab.worker)
    const { socket } = await lab.driver.connect(target, identity, never)
    let hasEnded = false
    socket.on('end', () => (hasEnded = true))
    await once(socket, 'data')
    const broken = once(socket, 'close')
    ;(await ofWorker).destroy()
    await assert.rejects(broken, /ECONNRESET/)
    assert.equal(hasEnded, false)
  })

  it('destroys the stream at its worker with that of who asked, and gives up a connect that nobody waits for', async () => {
    await using lab = await createPeers(silent)
    const ofWorker = socketOf(lab.worker)
    const { socket } = await lab.driver.connect(target, identity, never)
    const closed = once(await ofWorker, 'close')
    socket.destroy()
    await closed

    const aborted = Promise.withResolvers<unknown>()
    const asked = Promise.withResolvers<void>()
    lab.worker.connect = (_target, _identity, signal) => {
      asked.resolve()
      signal.addEventListener('abort', () => aborted.resolve(signal.reason))
      return new Promise(() => {})
    }
    const leaves = new AbortController()
    const connecting = lab.driver.connect(target, identity, leaves.signal)
    await asked.promise
    leaves.abort(new Error('the client left'))
    await assert.rejects(connecting, /the client left/)
    assert.equal(codeOf(await aborted.promise), 'client_gone')
  })

  it('tells faults as they are, and of what is none of ours nothing', async () => {
    await using lab = await createPeers(silent)
    lab.worker.failNextWith(new CbtorError('overloaded', 'Cannot have a circuit now', { retryAfterMs: 700 }))
    await assert.rejects(lab.driver.connect(target, identity, never), (error: CbtorError) => {
      assert.deepEqual(
        [error.code, error.message, error.retryAfterMs],
        ['overloaded', 'Cannot have a circuit now', 700],
      )
      return true
    })
    lab.worker.connect = async () => {
      throw new Error('secret.example is not there')
    }
    await assert.rejects(lab.driver.connect(target, identity, never), (error: CbtorError) => {
      assert.equal(error.code, 'internal')
      assert.doesNotMatch(error.message, /secret/)
      return true
    })
  })

  it('is lost as a whole when its replica goes, and what was under way with it', async () => {
    await using lab = await createPeers((socket) => void socket.write('and so on'))
    const { socket } = await lab.driver.connect(target, identity, never)
    const closed = once(socket.resume(), 'close')
    lab.worker.freeze()
    const isLost = (error: unknown) => codeOf(error) === 'worker_unreachable'
    const underWay = [lab.driver.connect(target, identity, never), lab.driver.warmUp(never)]
    const refused = underWay.map((each) => assert.rejects(each, isLost))
    await lab.lab.port[Symbol.asyncDispose]()
    await Promise.all([closed, ...refused])
    assert.deepEqual(lab.events.slice(1), [{ type: 'lost', reason: lab.driver.observe().problem }])
    assert.equal(lab.driver.observe().process, 'exited')
    await assert.rejects(lab.driver.start(never), /Cannot start worker gw2-tor01: replica gw2 cannot be reached/)
  })

  it('is lost when it is not offered any more, and when its operator stops it', async () => {
    await using lab = await createPeers(silent)
    lab.offer[Symbol.dispose]()
    await until(() => lab.driver.observe().process === 'exited')
    await assert.rejects(lab.driver.start(never), /its replica does not offer it/)
    lab.lab.port.offer(lab.worker)
    await lab.driver.start(never)
    await lab.worker.stop()
    await until(() => lab.driver.observe().process === 'exited')
    assert.match(lab.driver.observe().problem ?? '', /its Tor at replica gw2 is stopped/)
    await assert.rejects(lab.driver.start(never), /its Tor at replica gw2 is stopped/)
    assert.equal(lab.events.filter(({ type }) => type === 'lost').length, 2)
  })

  it('is lost when its replica is silent for 6 s, which ends what that replica has of it', async () => {
    await using lab = await createPeers(silent, { isStarted: false })
    const wires: Socket[] = []
    const between = createServer((near) => {
      const far = connectPlain({ ...lab.lab.at })
      wires.push(near, far)
      for (const wire of [near, far]) wire.on('error', silent)
      near.pipe(far)
      far.pipe(near)
    })
    await once(between.listen(0, '127.0.0.1'), 'listening')
    const { port } = between.address() as { port: number }
    const clock = new FakeClock()
    await using driver = lab.lab.peer('gw2-tor01', { clock, at: () => ({ host: '127.0.0.1', port }) })
    await driver.start(never)
    const events: DriverEvent[] = []
    driver.onEvent((event) => events.push(event))
    for (const wire of wires) wire.unpipe()
    await clock.advance(5_000)
    assert.deepEqual(events, [])
    await clock.advance(2_000)
    assert.deepEqual(events, [{ type: 'lost', reason: 'replica gw2 is lost: it is silent' }])
    for (const wire of wires) wire.destroy()
    await once(between.close(), 'close')
  })

  it('lets an operator give orders at another replica, and refuses them where they are not taken', async () => {
    const given: unknown[] = []
    const orders = {
      restart: async (...order: unknown[]) => void given.push(order.slice(0, 1)),
    }
    await using lab = await createPeers(silent, { orders })
    await lab.driver.restart(never)
    assert.deepEqual(given, [['gw2-tor01']])
    await using other = await createPeers(silent)
    await assert.rejects(other.driver.restart(never), (error) => codeOf(error) === 'conflict')
  })

  it('waits for a Tor that its own replica is bringing up, and tells how far it is', async () => {
    await using lab = await createPeers(silent)
    lab.worker.kill('it was too cold')
    await until(() => lab.driver.observe().process === 'exited')
    const starting = lab.driver.start(never)
    await new Promise((resolve) => setTimeout(resolve, 100))
    assert.equal(lab.driver.observe().process, 'starting')
    await lab.worker.start(never)
    await starting
    assert.equal(lab.driver.observe().process, 'running')
    ;(await lab.driver.connect(target, identity, never)).socket.destroy()
    assert.equal(lab.events.filter(({ type }) => type === 'lost').length, 1)
    assert.deepEqual(lab.events.at(-1), { type: 'progressed', progress: 100 })
  })

  it('carries out an order that ends what who gave it has of the worker, and one for a worker that is down', async () => {
    let restarts = 0
    const orders = {
      async restart() {
        await lab.worker.stop()
        await lab.worker.start(never)
        if (++restarts === 1) await lab.worker.stop()
      },
    }
    await using lab = await createPeers(silent, { orders })
    await lab.driver.restart(never)
    await until(() => lab.driver.observe().process === 'exited')
    assert.equal(lab.worker.observe().process, 'stopped')
    await lab.driver.restart(never)
    await lab.driver.start(never)
  })

  it('takes as many streams of one replica as it says', async () => {
    await using lab = await createPeers(silent, { limits: { maxStreams: 2 } })
    const connect = () => lab.driver.connect(target, identity, never)
    const [{ socket }] = await Promise.all([connect(), connect()])
    await assert.rejects(connect(), (error) => codeOf(error) === 'overloaded')
    socket.destroy()
    await until(() => lab.lab.port.connections === 2)
    await connect()
  })
})

describe('the worker port lets nobody in', { timeout: 60_000 }, () => {
  it('who has another secret, and no replica is let into a port that has another one', async () => {
    await using lab = await createPeers(silent)
    const options = { key: workerPortKey(randomBytes(32)) }
    await assert.rejects(lab.lab.peer('gw2-tor01', options).start(never), /it has not the secret of this pool/)
    const bare = connectTls({ ...lab.lab.at, rejectUnauthorized: false })
    await assert.rejects(once(bare, 'secureConnect'))
  })

  it('who speaks something else, says nothing, or says too much before it says who it is', async () => {
    await using lab = await createPeers(silent, { isStarted: false, limits: { openWithinMs: 300 } })
    const said = [Buffer.from('GET / HTTP/1.1\r\n\r\n'), randomBytes(2_000), Buffer.alloc(0)]
    for (const bytes of said) {
      const socket = connectPlain({ ...lab.lab.at }).on('error', silent)
      socket.write(bytes)
      socket.resume()
      await once(socket, 'close')
    }
    const key = workerPortKey(lab.lab.secret)
    for (const line of ['no JSON\n', '{"v":1,"op":"dig"}\n', `${'x'.repeat(100_000)}\n`, '']) {
      const socket: TLSSocket = connectTls({ ...lab.lab.at, ...ofClient(key) }).on('error', silent)
      await once(socket, 'secureConnect')
      socket.write(line)
      assert.equal(await text(socket).catch(() => ''), '')
    }
    await until(() => lab.lab.port.connections === 0)
    await lab.driver.start(never)
  })

  it('more of them than it says, and goes on serving those who are in', async () => {
    await using lab = await createPeers((socket) => void socket.end('here'), {
      limits: { maxOpeningOfOne: 2, openWithinMs: 500 },
    })
    const idle = [1, 2, 3].map(() => connectPlain({ ...lab.lab.at }).on('error', silent))
    await Promise.any(idle.map((socket) => once(socket.resume(), 'close')))
    for (const socket of idle) socket.destroy()
    await until(() => lab.lab.port.connections === 1)
    assert.equal(await text((await lab.driver.connect(target, identity, never)).socket), 'here')
  })

  it('who means another replica, or a worker that is not offered', async () => {
    await using lab = await createPeers(silent, { isStarted: false })
    await assert.rejects(lab.lab.peer('gw2-tor01', { replica: 'gw3' }).start(never), /there is replica gw2, not gw3/)
    await assert.rejects(lab.lab.peer('gw2-tor02').start(never), /its replica does not offer it/)
    await assert.rejects(lab.lab.peer('gw2-tor01', { at: () => undefined }).start(never), /replica gw2 is not there/)
  })

  it('and a replica takes no certificate for the secret', async () => {
    const folder = mkdtempSync(join(tmpdir(), 'cbtor-peer-'))
    const { good } = makeCertificates(folder)
    rmSync(folder, { recursive: true })
    const server = createTlsServer({ ...good }, (socket) => socket.on('error', silent).destroy())
    await once(server.listen(0, '127.0.0.1'), 'listening')
    const { port } = server.address() as { port: number }
    await using lab = await openTestPort()
    const driver = lab.peer('gw2-tor01', { at: () => ({ host: '127.0.0.1', port }) })
    await assert.rejects(driver.start(never), /replica gw2 cannot be reached/)
    // Whoever lets Node take any certificate does so for web sites.
    process.env.NODE_TLS_REJECT_UNAUTHORIZED = '0'
    try {
      await assert.rejects(driver.start(never), /cannot be reached: .*_CERT$/)
    } finally {
      delete process.env.NODE_TLS_REJECT_UNAUTHORIZED
    }
    await once(server.close(), 'close')
  })

  it('to more streams than it may have, those included that are yet to stand', async () => {
    await using lab = await createPeers(silent, { isStarted: false, limits: { maxStreams: 2 } })
    const given: AbortSignal[] = []
    lab.worker.connect = (_target, _identity, signal) => {
      given.push(signal)
      return new Promise((_resolve, reject) => signal.addEventListener('abort', () => reject(signal.reason)))
    }
    const key = workerPortKey(lab.lab.secret)
    const open = async (opening: object) => {
      const socket = connectTls({ ...lab.lab.at, ...ofClient(key) }).on('error', silent)
      await once(socket, 'secureConnect')
      socket.write(`${JSON.stringify({ v: 1, to: 'gw2', session: 's', worker: 'gw2-tor01', ...opening })}\n`)
      return socket
    }
    const connect = (stream: number) => open({ op: 'connect', stream, target, identity })
    const watch = await open({ op: 'watch', from: 'gw9' })
    await once(watch, 'data')
    await connect(1)
    await until(() => given.length === 1)
    assert.match(await text(await connect(1)), /the stream is not new/)
    await connect(2)
    await until(() => given.length === 2)
    assert.match(await text(await connect(3)), /as many streams as it takes/)
    watch.destroy()
    await until(() => given.every(({ aborted }) => aborted))
  })

  it('passes over what a newer version says beside what is known', async () => {
    await using lab = await createPeers((socket) => void socket.end('here'), { isStarted: false })
    const key = workerPortKey(lab.lab.secret)
    const open = async (opening: object) => {
      const socket = connectTls({ ...lab.lab.at, ...ofClient(key) }).on('error', silent)
      await once(socket, 'secureConnect')
      socket.write(`${JSON.stringify({ v: 1, to: 'gw2', session: 's', worker: 'gw2-tor01', new: 1, ...opening })}\n`)
      return socket
    }
    const watch = await open({ op: 'watch', from: 'gw9' })
    assert.match(String((await once(watch, 'data'))[0]), /^\{"ok":true/)
    watch.write('{"t":"dance"}\nnonsense\n\n{"t":"ask","id":1,"order":{"op":"pulse","hard":true}}\n')
    assert.match(String((await once(watch, 'data'))[0]), /"t":"answer","id":1/)
    const stream = await open({ op: 'connect', stream: 1, target, identity })
    assert.match(await text(stream), /^\{"ok":true.*\}\nhere$/)
    assert.match(await text(await open({ v: 2, op: 'watch', from: 'gw9' })), /speaks protocol 1, not 2/)
  })
})

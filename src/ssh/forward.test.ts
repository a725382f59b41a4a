import assert from 'node:assert/strict'
import { once } from 'node:events'
import { type AddressInfo, createServer, type Server, type Socket } from 'node:net'
import { buffer } from 'node:stream/consumers'
import { after, before, describe, it } from 'node:test'
import { systemClock as clock } from '../lib/clock.ts'
import { command } from './command.ts'
import { SshError } from './errors.ts'
import { SshSession } from './session.ts'
import { TestDropbear } from './test-dropbear.ts'
import { TestSshServer } from './test-ssh-server.ts'

const never = new AbortController().signal
const limitMs = 5_000

describe('SshSession.forward, with a real dropbear', () => {
  let dropbear: TestDropbear
  before(async () => {
    dropbear = await TestDropbear.start()
  })
  after(async () => await dropbear[Symbol.asyncDispose]())

  const open = () => new SshSession({ target: dropbear.target, clock })

  it('reaches a port of the box, both ways, with a half-close', async () => {
    await using server = await listen((socket) => socket.pipe(socket))
    await using session = open()
    const stream = await session.forward(server.port, never)
    const sent = Buffer.alloc(1_000_000, 'abc')
    stream.end(sent)
    assert.ok((await buffer(stream)).equals(sent))
    if (!stream.closed) await once(stream, 'close')
    assert.equal(session.state, 'connected')
  })

  it('runs beside commands, many at once', async () => {
    await using server = await listen((socket) => socket.pipe(socket))
    await using session = open()
    const echo = async (text: string) => {
      const stream = await session.forward(server.port, never)
      stream.end(text)
      assert.equal((await buffer(stream)).toString(), text)
    }
    const run = async () => assert.equal((await session.run(command`echo on`, { limitMs }, never)).stdout, 'on\n')
    await Promise.all(Array.from({ length: 20 }, (_, n) => Promise.all([echo(`stream ${n}`), run()])))
    assert.equal(session.state, 'connected')
  })

  it('says that nothing listens, and goes on', async () => {
    await using session = open()
    await assert.rejects(session.forward(1, never), {
      fault: 'unreachable',
      message: /Cannot reach 127\.0\.0\.1:1 of .*nothing listens there/,
    })
    for (const port of [0, 65_536, 1.5, Number.NaN])
      await assert.rejects(session.forward(port, never), { fault: 'invalid' })
    assert.equal(session.state, 'connected')
  })

  it('many streams that are destroyed in full flow leave the connection alone', async () => {
    const block = Buffer.alloc(65_536)
    await using server = await listen((socket) => {
      const flood = () => {
        while (socket.writable && socket.write(block));
      }
      socket.on('drain', flood)
      flood()
    })
    await using session = open()
    const ends: SshError[] = []
    session.onEnd((reason) => ends.push(reason))
    const visit = async (wanted: number) => {
      const stream = await session.forward(server.port, never)
      for (let bytes = 0; bytes < wanted; ) bytes += ((await once(stream, 'data'))[0] as Buffer).length
      stream.destroy()
      await once(stream, 'close')
      assert.equal((await session.run(command`true`, { limitMs }, never)).code, 0)
    }
    await Promise.all(Array.from({ length: 6 }, (_, n) => visit(n * 500_000)))
    assert.deepEqual(ends, [])
  })

  it('a stream fails when the connection is lost, rather than to end', async () => {
    await using server = await listen((socket) => socket.write('hello'))
    await using session = open()
    const stream = await session.forward(server.port, never)
    await once(stream, 'data')
    const failed = once(stream, 'error')
    const hasEnded = once(stream, 'end').then(
      () => true,
      () => false,
    )
    await assert.rejects(session.run(command`kill -9 $PPID`, { limitMs }, never), { fault: 'ended' })
    const [error] = await failed
    assert.ok(error instanceof SshError)
    assert.equal(error.fault, 'ended')
    assert.equal(await hasEnded, false)
    assert.ok(stream.closed)
  })

  it('gives up with the signal', async () => {
    await using session = open()
    await session.run(command`true`, { limitMs }, never)
    const controller = new AbortController()
    const opening = session.forward(1, controller.signal)
    controller.abort(new Error('no more'))
    await assert.rejects(opening, /no more/)
    assert.equal((await session.run(command`true`, { limitMs }, never)).code, 0)
  })
})

it('grants no window to a channel that it has closed: dropbear would end the connection', async () => {
  // More than half of a channel's window: when it has come, ssh2 would grant more.
  await using server = await TestSshServer.start({ onForward: (channel) => channel.end(Buffer.alloc(1_500_000)) })
  await using session = new SshSession({ target: server.target, clock })
  const stream = await session.forward(80, never)
  await once(stream, 'data')
  stream.destroy()
  const isClosed = () => server.received.findIndex((packet) => /CHANNEL_CLOSE/.test(packet))
  for (const giveUpAt = clock.monotonic() + 5_000; isClosed() === -1; await clock.sleep(5))
    assert.ok(clock.monotonic() < giveUpAt)
  // Whatever it would have sent for what was still under way comes before this.
  await assert.rejects(session.run(command`true`, { limitMs: 100 }, never), { fault: 'timed-out' })
  const late = server.received.slice(isClosed()).filter((packet) => /WINDOW_ADJUST/.test(packet))
  assert.deepEqual(late, [])
})

async function listen(onSocket: (socket: Socket) => void): Promise<AsyncDisposable & { readonly port: number }> {
  const sockets = new Set<Socket>()
  const server: Server = createServer({ allowHalfOpen: true }, (socket) => {
    sockets.add(socket)
    socket.on('error', () => {})
    onSocket(socket)
  })
  server.listen(0, '127.0.0.1')
  await once(server, 'listening')
  return {
    port: (server.address() as AddressInfo).port,
    async [Symbol.asyncDispose]() {
      for (const socket of sockets) socket.destroy()
      server.close()
      await once(server, 'close')
    },
  }
}

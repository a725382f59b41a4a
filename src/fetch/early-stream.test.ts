import assert from 'node:assert/strict'
import { once } from 'node:events'
import { connect, type Socket } from 'node:net'
import { after, describe, it } from 'node:test'
import { EarlyStream } from './early-stream.ts'
import { makeCertificate, TestServer } from './test-lab.ts'
import { createHandshake } from './tls.ts'

const never = new AbortController().signal

describe('EarlyStream', { timeout: 20_000 }, () => {
  const servers = new AsyncDisposableStack()
  after(() => servers.disposeAsync())

  const serve = async (onSocket: (socket: Socket) => void) => servers.use(await TestServer.tcp(onSocket))
  const dial = async ({ port }: TestServer) => {
    const socket = connect(port, '127.0.0.1')
    await once(socket, 'connect')
    return socket.on('error', () => {})
  }
  /** As a worker does: what is early is on its way before the socket is there. */
  const joined = async (stream: EarlyStream, server: TestServer) => {
    const early = await stream.takeFirst()
    const socket = await dial(server)
    if (early) socket.write(early)
    stream.join(socket)
    return { early, socket }
  }
  const echo = () => serve((socket) => socket.pipe(socket))
  const read = async (stream: EarlyStream, bytes: number) => {
    let text = ''
    for await (const chunk of stream.iterator({ destroyOnReturn: false })) {
      text += chunk
      if (text.length >= bytes) break
    }
    return text
  }

  it('gives away what was written first, and sends the rest in order once it has a socket', async () => {
    const stream = new EarlyStream()
    stream.write('one ')
    stream.write('two ')
    stream.write('three')
    const { early } = await joined(stream, await echo())
    assert.equal(String(early), 'one ')
    assert.equal(await read(stream, 13), 'one two three')
    stream.destroy()
  })

  it('takes what is written corked as one, and of much only the beginning', async () => {
    const stream = new EarlyStream()
    stream.cork()
    stream.write('head')
    stream.write('x'.repeat(40_000))
    stream.uncork()
    const { early } = await joined(stream, await echo())
    assert.equal(early?.length, 16_384)
    assert.equal(await read(stream, 40_004), `head${'x'.repeat(40_000)}`)
    stream.destroy()
  })

  it('waits some turns for whoever is about to write, and no longer', async () => {
    const late = new EarlyStream()
    setImmediate(() => late.write('late'))
    assert.equal(String(await late.takeFirst()), 'late')
    const silent = new EarlyStream()
    assert.equal(await silent.takeFirst(), undefined)
    silent.join(await dial(await echo()))
    silent.write('x')
    assert.equal(await read(silent, 1), 'x')
    silent.destroy()
    late.destroy()
  })

  it('holds back those who write faster than it is read, in both directions', async () => {
    let written = 0
    const flood = await serve((socket) => {
      const chunk = Buffer.alloc(64 * 1024)
      const send = () => {
        while (socket.writable && written < 64 * 1024 * 1024 && socket.write(chunk)) written += chunk.length
      }
      socket.on('drain', send).once('data', send)
    })
    const stream = new EarlyStream()
    stream.write('go')
    await joined(stream, flood)
    await once(stream, 'readable')
    for (let turn = 0; turn < 100; turn++) await new Promise((resolve) => setImmediate(resolve))
    assert.ok(written < 16 * 1024 * 1024, `${written} bytes were taken from a stream that nobody reads`)
    stream.destroy()

    const deaf = new EarlyStream()
    deaf.write('x')
    await joined(deaf, await serve((socket) => socket.pause()))
    let taken = 0
    while (taken < 64 && deaf.write(Buffer.alloc(1024 * 1024))) taken++
    assert.ok(taken < 64)
    deaf.destroy()
  })

  it('ends with its socket and its socket with it, however that comes about', async () => {
    const ended = new EarlyStream()
    ended.write('x')
    await joined(ended, await serve((socket) => socket.on('data', () => socket.end('all'))))
    assert.equal(await read(ended, 99), 'all')
    assert.ok(ended.closed || (await once(ended, 'close')))

    const reset = new EarlyStream()
    reset.write('x')
    await joined(reset, await serve((socket) => socket.on('data', () => socket.resetAndDestroy())))
    const [error] = await once(reset.resume(), 'error')
    assert.equal(error.code, 'ECONNRESET')

    const cut = new EarlyStream()
    cut.write('x')
    const { socket } = await joined(cut, await echo())
    socket.destroy()
    assert.equal((await once(cut.resume(), 'error'))[0].code, 'ECONNRESET')

    const server = await echo()
    const gone = new EarlyStream()
    gone.write('x')
    await joined(gone, server)
    gone.destroy()
    await server.allClosed()

    const closing = new EarlyStream()
    closing.end('bye')
    await joined(closing, server)
    assert.equal(await read(closing, 3), 'bye')
    await server.allClosed()
  })

  it('lets go of a socket that comes too late', async () => {
    const stream = new EarlyStream()
    stream.write('x')
    await stream.takeFirst()
    stream.destroy(new Error('enough'))
    const server = await echo()
    stream.join(await dial(server))
    await server.allClosed()
    assert.equal(await new EarlyStream().destroy().takeFirst(), undefined)
  })

  it('carries TLS: the first message of the handshake goes ahead, and its faults are told as ever', async () => {
    const certificate = makeCertificate()
    const handshake = createHandshake([certificate.cert])
    const server = servers.use(
      await TestServer.https(certificate, (_, response) => response.end('x'.repeat(1_000_000))),
    )
    const stream = new EarlyStream()
    const shaking = handshake(stream, 'a.test', never)
    const { early } = await joined(stream, server)
    assert.equal(early?.[0], 0x16)
    const socket = await shaking
    socket.write('GET / HTTP/1.1\r\nhost: a.test\r\nconnection: close\r\n\r\n')
    let length = 0
    for await (const chunk of socket) length += chunk.length
    assert.ok(length > 1_000_000)
    await server.allClosed()

    for (const end of [(socket: Socket) => socket.end(), (socket: Socket) => socket.resetAndDestroy()]) {
      const failing = new EarlyStream()
      const failed = handshake(failing, 'a.test', never)
      await joined(failing, await serve((socket) => socket.once('data', () => end(socket))))
      await assert.rejects(failed, { code: 'tls_handshake_lost', message: /lost during the handshake/ })
      assert.ok(failing.destroyed)
    }

    const cut = new EarlyStream()
    const failed = handshake(cut, 'a.test', never)
    const { socket: below } = await joined(cut, await serve(() => {}))
    below.destroy()
    await assert.rejects(failed, { code: 'tls_handshake_lost', message: /lost during the handshake/ })

    const unjoined = new EarlyStream()
    const refused = handshake(unjoined, 'a.test', never)
    await unjoined.takeFirst()
    unjoined.destroy(new Error('no worker'))
    await assert.rejects(refused, { code: 'tls_failure' })
  })
})

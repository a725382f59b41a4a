import assert from 'node:assert/strict'
import { once } from 'node:events'
import { connect } from 'node:net'
import { after, describe, it } from 'node:test'
import { CbtorError } from '../domain/errors.ts'
import type { ProblemCode } from '../domain/problems.ts'
import { tlsFailure } from './failure.ts'
import { isTls, makeCertificate, makeExpiredCertificate, TestServer } from './test-lab.ts'
import { createHandshake } from './tls.ts'

const never = new AbortController().signal

describe('createHandshake()', { timeout: 20_000 }, () => {
  const certificate = makeCertificate()
  const handshake = createHandshake([certificate.cert])
  const servers = new AsyncDisposableStack()
  after(() => servers.disposeAsync())

  const dial = async (server: TestServer) => {
    const stream = connect(server.port, '127.0.0.1')
    await once(stream, 'connect')
    return stream.on('error', () => {})
  }

  it('speaks TLS 1.3 with HTTP/1.1 only, names the host but not an address, and never resumes', async () => {
    const seen: unknown[] = []
    const server = await TestServer.https(certificate, ({ socket }, response) => {
      assert.ok(isTls(socket))
      seen.push([socket.servername, socket.alpnProtocol, socket.getProtocol(), socket.isSessionReused()])
      response.end()
    })
    servers.use(server)
    for (const host of ['a.test', 'a.test', '127.0.0.1']) {
      const socket = await handshake(await dial(server), host, never)
      socket.write('GET / HTTP/1.1\r\nhost: x\r\n\r\n')
      await once(socket, 'data')
      assert.equal(socket.authorized, true)
      socket.destroy()
    }
    assert.deepEqual(seen, [
      ['a.test', 'http/1.1', 'TLSv1.3', false],
      ['a.test', 'http/1.1', 'TLSv1.3', false],
      [false, 'http/1.1', 'TLSv1.3', false],
    ])
  })

  it('verifies whatever the environment says', async () => {
    const { NODE_TLS_REJECT_UNAUTHORIZED: before } = process.env
    process.env.NODE_TLS_REJECT_UNAUTHORIZED = '0'
    try {
      const server = servers.use(await TestServer.https(certificate, () => {}))
      await assert.rejects(createHandshake()(await dial(server), 'a.test', never), { code: 'tls_untrusted' })
    } finally {
      if (before === undefined) delete process.env.NODE_TLS_REJECT_UNAUTHORIZED
      else process.env.NODE_TLS_REJECT_UNAUTHORIZED = before
    }
  })

  it('says in words why it failed, and leaves no stream behind', async () => {
    const ok = servers.use(await TestServer.https(certificate, () => {}))
    const old = servers.use(
      await TestServer.https({ ...certificate, ...{ maxVersion: 'TLSv1.1', minVersion: 'TLSv1' } }, () => {}),
    )
    const plain = servers.use(await TestServer.tcp((socket) => socket.end('HTTP/1.1 400 Bad Request\r\n\r\n')))
    const reset = servers.use(await TestServer.tcp((socket) => socket.once('data', () => socket.resetAndDestroy())))
    const closed = servers.use(await TestServer.tcp((socket) => socket.once('data', () => socket.end())))
    const h2 = servers.use(await TestServer.https({ ...certificate, ...{ ALPNProtocols: ['h2'] } }, () => {}))
    const cases: [server: TestServer, host: string, code: ProblemCode, reason: RegExp][] = [
      [ok, 'a.example', 'tls_wrong_host', /for another host/],
      [ok, 'c.test', 'tls_wrong_host', /for another host/],
      [ok, '127.0.0.2', 'tls_wrong_host', /for another host/],
      [old, 'a.test', 'tls_old_version', /older than 1\.2|no version of TLS/],
      [plain, 'a.test', 'tls_not_spoken', /does not speak TLS/],
      [reset, 'a.test', 'tls_handshake_lost', /lost during the handshake/],
      [closed, 'a.test', 'tls_handshake_lost', /lost during the handshake/],
      [h2, 'a.test', 'tls_failure', /does not offer HTTP\/1\.1/],
    ]
    for (const [server, host, code, message] of cases) {
      const stream = await dial(server)
      await assert.rejects(handshake(stream, host, never), { name: 'CbtorError', code, message }, host)
      assert.ok(stream.destroyed)
    }
    const expired = makeExpiredCertificate()
    const past = servers.use(await TestServer.https(expired, () => {}))
    await assert.rejects(createHandshake([expired.cert])(await dial(past), 'a.test', never), {
      code: 'tls_certificate_expired',
      message: /has expired/,
    })
    const stream = await dial(ok)
    const distrustful = createHandshake()
    await assert.rejects(distrustful(stream, 'a.test', never), { code: 'tls_untrusted', message: /signed by itself/ })
    assert.ok(stream.destroyed)
  })

  it('gives up when aborted, with the reason, and leaves no stream behind', async () => {
    const silent = servers.use(await TestServer.tcp((socket) => socket.resume()))
    const stream = await dial(silent)
    const controller = new AbortController()
    const shaking = handshake(stream, 'a.test', controller.signal)
    controller.abort(new Error('enough'))
    await assert.rejects(shaking, /enough/)
    assert.ok(stream.destroyed)
    await silent.allClosed()
  })
})

describe('tlsFailure()', () => {
  it('has words for what a certificate may be, and the code for the rest', () => {
    const messageOf = (code: string) => tlsFailure(Object.assign(new Error('x'), { code })).message
    assert.match(messageOf('CERT_HAS_EXPIRED'), /the certificate has expired/)
    assert.equal(
      tlsFailure(Object.assign(new Error('x'), { code: 'CERT_HAS_EXPIRED' })).code,
      'tls_certificate_expired',
    )
    assert.match(messageOf('ERR_SSL_SOMETHING_NEW'), /handshake failed \(ERR_SSL_SOMETHING_NEW\)/)
    assert.match(tlsFailure('odd').message, /no reason given/)
    assert.ok(tlsFailure('odd') instanceof CbtorError)
  })
})

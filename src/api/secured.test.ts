import assert from 'node:assert/strict'
import { mkdtempSync, rmSync, statSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { describe, it } from 'node:test'
import { connect as connectTls } from 'node:tls'
import { createApiClient } from '../client/client.ts'
import { FakeClock } from '../lib/fake-clock.ts'
import { systemRandom } from '../lib/random.ts'
import { TestCertificate } from '../listen/test-certificate.ts'
import { FakeBackend } from './fake-backend.ts'
import { FakeKeys } from './fake-keys.ts'
import { createApiServer } from './server.ts'
import { MemoryLogger } from './test-app.ts'
import { read, startServer } from './test-server.ts'

describe('the API by TLS', { timeout: 20_000 }, () => {
  it('answers who takes its certificate, and nobody who takes another', async () => {
    using files = new TestCertificate()
    using other = new TestCertificate()
    await using running = await startServer({ tls: await files.tls(), host: '0.0.0.0', mayBeExposed: true })
    assert.equal(running.url, `https://0.0.0.0:${running.port}`)
    const baseUrl = `https://127.0.0.1:${running.port}`
    assert.equal((await createApiClient({ baseUrl, certificate: files.pem }).mode()).mode, 'round_robin')
    for (const certificate of [other.pem, undefined])
      await assert.rejects(createApiClient({ baseUrl, certificate }).mode(), { name: 'ApiUnreachable' })
  })

  it('is spoken from TLS 1.2 on, and nothing else is', async () => {
    using files = new TestCertificate()
    await using running = await startServer({ tls: await files.tls() })
    const offer = (maxVersion: 'TLSv1.1' | 'TLSv1.2' | 'TLSv1.3') =>
      new Promise<string | null>((resolve) => {
        const options = { ca: files.pem, servername: 'localhost', ciphers: 'DEFAULT@SECLEVEL=0' } as const
        const socket = connectTls({ ...options, port: running.port, minVersion: 'TLSv1', maxVersion })
        socket.once('secureConnect', () => resolve(socket.getProtocol())).once('error', () => resolve('refused'))
        socket.once('secureConnect', () => socket.destroy())
      })
    assert.deepEqual(await Promise.all([offer('TLSv1.1'), offer('TLSv1.2'), offer('TLSv1.3')]), [
      'refused',
      'TLSv1.2',
      'TLSv1.3',
    ])
    const plain = await running.dial()
    plain.write('GET /healthz HTTP/1.1\r\nHost: localhost\r\n\r\n')
    assert.equal(await read(plain, 'nothing'), '')
  })

  it('is for all its addresses, by the names that were configured and the address that was called', async () => {
    using files = new TestCertificate()
    await using running = await startServer({
      ...{ tls: await files.tls(), host: '0.0.0.0', mayBeExposed: true },
      allowedHosts: ['cbtor.test'],
    })
    const statusFor = async (host: string) => {
      const socket = connectTls({ port: running.port, host: '127.0.0.1', ca: files.pem }).setEncoding('latin1')
      socket.write(`GET /healthz HTTP/1.1\r\nHost: ${host}\r\nConnection: close\r\n\r\n`)
      return (await read(socket, '\r\n')).split(' ')[1]
    }
    for (const host of [
      'cbtor.test',
      `cbtor.test:${running.port}`,
      `127.0.0.1:${running.port}`,
      `localhost:${running.port}`,
    ])
      assert.equal(await statusFor(host), '200', host)
    for (const host of ['evil.test', `192.0.2.7:${running.port}`, 'cbtor.test:8443'])
      assert.equal(await statusFor(host), '421')
  })
})

describe('the API on a unix socket', { timeout: 20_000 }, () => {
  it('answers its owner alone', async () => {
    const directory = mkdtempSync(join(tmpdir(), 'cbtor-api-'))
    try {
      const parts = { backend: new FakeBackend(), keys: new FakeKeys(), auth: 'off' } as const
      const logger = new MemoryLogger()
      await using server = await createApiServer({ ...parts, logger, clock: new FakeClock(), random: systemRandom })
      const path = join(directory, 'api.sock')
      const { url } = await server.listen({ path })
      assert.equal(url, `unix:${path}`)
      assert.equal(statSync(path).mode & 0o777, 0o600)
      assert.equal((await createApiClient({ baseUrl: url }).mode()).mode, 'round_robin')
    } finally {
      rmSync(directory, { recursive: true })
    }
  })
})

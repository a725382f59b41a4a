import assert from 'node:assert/strict'
import { execFileSync } from 'node:child_process'
import { chmodSync, copyFileSync, renameSync, writeFileSync } from 'node:fs'
import { describe, it } from 'node:test'
import { systemClock } from '../lib/clock.ts'
import { FakeClock } from '../lib/fake-clock.ts'
import { silentLogger } from '../lib/log.ts'
import {
  CERTIFICATE_POLL_MS,
  type CertificateTrouble,
  judgeExpiry,
  loadCertificate,
  ServerCertificate,
} from './certificate.ts'
import { TestCertificate } from './test-certificate.ts'

const DAY_MS = 24 * 60 * 60 * 1_000

describe('the certificate of our listeners', { timeout: 30_000 }, () => {
  it('is read with its key, and says for whom it is and until when', async () => {
    using files = new TestCertificate('DNS:cbtor.lan,IP:192.0.2.7')
    const { names, expiresAt, context } = await loadCertificate(files)
    assert.equal(names, 'DNS:cbtor.lan, IP Address:192.0.2.7')
    assert.ok(Math.abs(expiresAt - systemClock.now() - 30 * DAY_MS) < DAY_MS)
    assert.equal(context.minVersion, 'TLSv1.2')
  })

  it('is refused with what would be right', async () => {
    using files = new TestCertificate()
    using other = new TestCertificate()
    const cases: [change: () => void, field: string, message: RegExp][] = [
      [() => chmodSync(files.key_file, 0o604), 'key_file', /everybody may read .*: expected chmod o= /],
      [() => copyFileSync(other.key_file, files.key_file), 'key_file', /is not the key of the certificate in /],
      [() => encrypt(files.key_file), 'key_file', /no key that can be read: expected a PEM file without a passphrase/],
      [() => writeFileSync(files.key_file, ''), 'key_file', /no key that can be read/],
      [() => writeFileSync(files.cert_file, 'mine'), 'cert_file', /holds no certificate: expected a PEM file/],
      [() => copyFileSync(other.key_file, files.cert_file), 'cert_file', /holds no certificate/],
    ]
    for (const [change, field, message] of cases) {
      files.renew()
      change()
      await assert.rejects(loadCertificate(files), { name: 'CertificateError', field, message })
    }
    for (const field of ['cert_file', 'key_file'] as const)
      await assert.rejects(loadCertificate({ ...other, ...paths(other), [field]: '/nowhere.pem' }), {
        field,
        message: /^\/nowhere\.pem cannot be read: ENOENT/,
      })
  })

  it('is told of when it ends soon, by how long it lasts, and when it has ended', () => {
    const judge = (days: number, left: number) =>
      judgeExpiry({ validFrom: (left - days) * DAY_MS, expiresAt: left * DAY_MS }, 0)?.severity
    assert.deepEqual([judge(90, 15), judge(90, 13), judge(90, 0)], [undefined, 'warn', 'error'])
    assert.deepEqual([judge(6, 2), judge(6, 1)], [undefined, 'warn'])
    assert.match(judgeExpiry({ validFrom: DAY_MS, expiresAt: 90 * DAY_MS }, 0)?.text ?? '', /valid from 1970-01-02/)
  })

  it('is read anew when its files have changed and are left alone, and stays when they cannot be used', async () => {
    using files = new TestCertificate()
    const clock = new FakeClock(systemClock.now())
    const troubles: (CertificateTrouble | undefined)[] = []
    const last = () => troubles.at(-1)
    const options = { clock, logger: silentLogger, onTrouble: (trouble?: CertificateTrouble) => troubles.push(trouble) }
    await using certificate = await ServerCertificate.open(files, options)
    const seen: unknown[] = []
    certificate.onChange(({ cert }) => seen.push(cert))
    certificate.watch()

    const first = certificate.context.cert
    await look(clock, 3)
    assert.deepEqual(seen, [])

    using other = new TestCertificate()
    copyFileSync(other.cert_file, files.cert_file) // and not its key yet
    await look(clock, 1)
    assert.deepEqual(troubles, [])
    await look(clock, 2)
    assert.equal(certificate.context.cert, first)
    assert.match(last()?.text ?? '', /^The new certificate is not used: .* is not the key of the certificate/)
    copyFileSync(other.key_file, files.key_file)
    await look(clock, 3)
    assert.deepEqual(seen, [other.pem])
    assert.equal(certificate.context.cert, other.pem)
    assert.deepEqual([troubles.length, troubles.at(-1)], [2, undefined])

    files.renew({ days: 1 })
    await look(clock, 3)
    assert.deepEqual(seen, [other.pem, files.pem])
    await clock.advance(DAY_MS * 0.8)
    await look(clock, 1)
    assert.equal(last()?.severity, 'warn')
    await certificate[Symbol.asyncDispose]()
    assert.equal(clock.pending, 0)
  })
})

/** Lets it look so often, each time to the end. */
async function look(clock: FakeClock, times: number): Promise<void> {
  for (let time = 0; time < times; time++) {
    while (clock.pending === 0) await new Promise((resolve) => setImmediate(resolve))
    await clock.advance(CERTIFICATE_POLL_MS)
    while (clock.pending === 0) await new Promise((resolve) => setImmediate(resolve))
  }
}

function paths({ cert_file, key_file }: TestCertificate) {
  return { cert_file, key_file }
}

function encrypt(key: string): void {
  execFileSync('openssl', ['pkey', '-in', key, '-out', `${key}.new`, '-aes256', '-passout', 'pass:secret'], {
    stdio: 'pipe',
  })
  renameSync(`${key}.new`, key)
}

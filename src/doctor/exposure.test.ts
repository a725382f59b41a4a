import assert from 'node:assert/strict'
import { execFileSync } from 'node:child_process'
import { chmodSync } from 'node:fs'
import { describe, it } from 'node:test'
import { parseConfig } from '../config/read-config.ts'
import { systemClock } from '../lib/clock.ts'
import { TestCertificate } from '../listen/test-certificate.ts'
import { checkCertificate } from './certificate.ts'
import { checkKeysAsked } from './keys-asked.ts'

const DAY_MS = 24 * 60 * 60 * 1_000

describe('keys', () => {
  it('are asked for, or only the owner or this machine gets in', () => {
    const cases: [document: object, verdict: string, text: RegExp][] = [
      [{}, 'ok', /^asked for by the API and by every port/],
      [{ auth: 'off' }, 'warning', /may use 127\.0\.0\.1:32211, 127\.0\.0\.1:8118, 127\.0\.0\.1:1080 without a key/],
      [
        { tls: 'offloaded', proxy: { auth: 'off' } },
        'warning',
        /, and whoever reaches what does TLS in front of it, may/,
      ],
      [{ proxy: { auth: 'off', http: 'off' } }, 'warning', /may use 127\.0\.0\.1:1080 without a key/],
      [{ auth: 'off', listen: 'unix:/a', proxy: { both: 'unix:/b' } }, 'ok', /not asked for at unix:\/a, unix:\/b/],
    ]
    for (const [document, verdict, text] of cases) {
      const finding = checkKeysAsked(parseConfig(document, {}))
      assert.equal(finding.verdict, verdict, JSON.stringify(document))
      assert.match(finding.text, text)
    }
  })
})

describe('the certificate of the listeners', { timeout: 20_000 }, () => {
  it('is looked at: whether it can be used, by whom, and until when', async () => {
    using files = new TestCertificate('DNS:cbtor.lan')
    const tls = { cert_file: files.cert_file, key_file: files.key_file }
    const judge = async (now = systemClock.now(), listen = '0.0.0.0:1') => {
      const found = await checkCertificate(parseConfig({ tls, listen }, {}), now)
      return found.map(({ verdict, text }) => `${verdict}: ${text}`).join('\n')
    }
    assert.match(await judge(), /^ok: for DNS:cbtor\.lan, until \d{4}-/)
    assert.match(await judge(systemClock.now() + 25 * DAY_MS), /^warning: The certificate expires at .*: renew it$/)
    assert.match(await judge(systemClock.now() + 31 * DAY_MS), /^wrong: The certificate has expired at .*: renew it$/)
    assert.match(await judge(undefined, '127.0.0.1:1'), /^warning: nothing that listens uses it/)
    chmodSync(files.key_file, 0o640)
    assert.match(await judge(), /^warning: a group may read /)
    chmodSync(files.key_file, 0o644)
    assert.match(await judge(), /^wrong: tls\.key_file: everybody may read /)
    const nameless = [
      'req',
      '-x509',
      '-newkey',
      'ec',
      '-pkeyopt',
      'ec_paramgen_curve:prime256v1',
      '-noenc',
      '-subj',
      '/CN=a',
    ]
    execFileSync('openssl', [...nameless, '-out', tls.cert_file, '-keyout', tls.key_file], { stdio: 'pipe' })
    chmodSync(files.key_file, 0o600)
    assert.match(await judge(), /^warning: it is for no name or address \(subjectAltName\)/)
    assert.deepEqual(await checkCertificate(parseConfig({ tls: 'offloaded', listen: '0.0.0.0:1' }, {}), 0), [])
  })
})

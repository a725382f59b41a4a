import assert from 'node:assert/strict'
import { execFileSync } from 'node:child_process'
import { generateKeyPairSync } from 'node:crypto'
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { describe, it } from 'node:test'
import ssh2 from 'ssh2'
import { checkFingerprint, checkPrivateKey, generateKeyPair } from './keys.ts'

describe('generateKeyPair', () => {
  it('makes keys that can be used, a new one each time', () => {
    const pairs = Array.from({ length: 500 }, () => generateKeyPair())
    for (const { privateKey, authorizedKey } of pairs) {
      checkPrivateKey(privateKey)
      assert.match(authorizedKey, /^ssh-ed25519 [A-Za-z0-9+/=]{68} cbtor$/)
    }
    assert.equal(new Set(pairs.map((pair) => pair.authorizedKey)).size, 500)
  })

  it('writes a key that OpenSSH reads, whatever the length of the comment', () => {
    const directory = mkdtempSync(join(tmpdir(), 'cbtor-key-'))
    try {
      for (let length = 0; length < 9; length++) {
        const { privateKey, authorizedKey } = generateKeyPair('c'.repeat(length))
        const file = join(directory, `key${length}`)
        writeFileSync(file, privateKey, { mode: 0o600 })
        // Dropbear's own tool, which every machine that runs these tests has.
        execFileSync('dropbearconvert', ['openssh', 'dropbear', file, `${file}.db`], { stdio: 'ignore' })
        const told = execFileSync('dropbearkey', ['-y', '-f', `${file}.db`], { encoding: 'utf8' })
        assert.ok(told.includes(authorizedKey.split(' ')[1] ?? ''))
      }
    } finally {
      rmSync(directory, { recursive: true })
    }
  })

  it('refuses a comment that would break the line', () => {
    assert.throws(() => generateKeyPair('a\nssh-rsa AAAA'), { name: 'SshError', fault: 'invalid' })
  })
})

describe('checkPrivateKey', () => {
  const { privateKey, authorizedKey } = generateKeyPair()
  const encrypted = { passphrase: 'secret', cipher: 'aes256-ctr', rounds: 1 } as const
  const pkcs8 = { type: 'pkcs8', format: 'pem' } as const
  const rsa = generateKeyPairSync('rsa', { modulusLength: 2048 }).privateKey
  const ed25519 = generateKeyPairSync('ed25519').privateKey

  it('takes OpenSSH and PEM, with any line ends around', () => {
    checkPrivateKey(privateKey)
    checkPrivateKey(`\n${privateKey.replaceAll('\n', '\r\n')}\r\n`)
    checkPrivateKey(rsa.export({ type: 'pkcs1', format: 'pem' }).toString())
  })

  const REFUSED: readonly (readonly [what: string, text: string, why: RegExp])[] = [
    ['nothing', ' \n', /empty/],
    ['an encrypted OpenSSH key', ssh2.utils.generateKeyPairSync('ed25519', encrypted).private, /passphrase/],
    [
      'an encrypted PEM key',
      rsa.export({ type: 'pkcs1', format: 'pem', cipher: 'aes-256-cbc', passphrase: 'secret' }).toString(),
      /passphrase/,
    ],
    [
      'an encrypted PKCS#8 key',
      ed25519.export({ ...pkcs8, cipher: 'aes-256-cbc', passphrase: 'secret' }).toString(),
      /passphrase/,
    ],
    ['a PKCS#8 key', ed25519.export(pkcs8).toString(), /PKCS#8/],
    ['the public half', authorizedKey, /public/],
    ['half a key', privateKey.slice(0, 200), /cannot be read/],
    ['a key with a letter missing', privateKey.replace(/[A-Za-z0-9]\n-----END/, '\n-----END'), /cannot be read/],
    ['something else', 'SHA256:abc', /cannot be read/],
  ]
  for (const [what, text, why] of REFUSED)
    it(`refuses ${what}, without showing it`, () => {
      assert.throws(
        () => checkPrivateKey(text),
        (error: Error) => {
          assert.match(error.message, why)
          assert.match(error.message, /Right would be/)
          const secrets = text.split('\n').filter((line) => line.length > 20)
          assert.ok(!secrets.some((line) => error.message.includes(line)))
          return true
        },
      )
    })
})

it('a fingerprint is SHA256 in base64 without padding', () => {
  checkFingerprint(`SHA256:${'a'.repeat(43)}`)
  for (const text of ['', 'SHA256:', `SHA256:${'a'.repeat(43)}=`, `MD5:${'a'.repeat(43)}`, 'aa:bb'])
    assert.throws(() => checkFingerprint(text), { name: 'SshError', fault: 'invalid' })
})

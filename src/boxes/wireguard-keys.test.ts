import assert from 'node:assert/strict'
import { execFileSync } from 'node:child_process'
import { it } from 'node:test'
import { createWireguardKeys, isWireguardKey, wireguardPublicKey } from './wireguard-keys.ts'

it('makes key pairs that wg itself agrees with', () => {
  for (let i = 0; i < 5; i++) {
    const { privateKey, publicKey } = createWireguardKeys()
    assert.equal(execFileSync('wg', ['pubkey'], { input: privateKey, encoding: 'utf8' }).trim(), publicKey)
    assert.equal(wireguardPublicKey(privateKey), publicKey)
  }
})

it('computes the public key of a key that wg made', () => {
  const privateKey = execFileSync('wg', ['genkey'], { encoding: 'utf8' }).trim()
  const publicKey = execFileSync('wg', ['pubkey'], { input: privateKey, encoding: 'utf8' }).trim()
  assert.equal(wireguardPublicKey(privateKey), publicKey)
})

it('tells a key from other text', () => {
  assert.ok(isWireguardKey(createWireguardKeys().publicKey))
  for (const text of ['', 'none', 'A'.repeat(44), `${'A'.repeat(43)}=\n`, `${'A'.repeat(42)}B=`]) {
    assert.equal(isWireguardKey(text), false, text)
  }
  assert.throws(() => wireguardPublicKey('no key'), /expected 32 bytes in base64/)
})

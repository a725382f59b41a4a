import assert from 'node:assert/strict'
import { chmodSync, mkdtempSync, readdirSync, readFileSync, rmSync, statSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { after, it } from 'node:test'
import { systemRandom } from '../lib/random.ts'
import { StoreError } from '../store/store-error.ts'
import { poolSecret, readPoolSecret } from './pool-secret.ts'

const directory = mkdtempSync(join(tmpdir(), 'cbtor-secret-'))
after(() => rmSync(directory, { recursive: true }))

it('the secret of a pool is made once, for its owner alone, and can be carried to another replica', () => {
  const file = join(directory, 'pool-secret')
  assert.equal(readPoolSecret(file), undefined)
  const secret = poolSecret(file, systemRandom)
  assert.equal(secret.length, 32)
  assert.deepEqual(poolSecret(file, systemRandom), secret)
  assert.equal(statSync(file).mode & 0o777, 0o600)
  assert.deepEqual(readdirSync(directory), ['pool-secret'])
  const copy = join(directory, 'copy')
  writeFileSync(copy, readFileSync(file), { mode: 0o640 })
  assert.deepEqual(readPoolSecret(copy), secret)
})

it('a secret that is short, no base64 or for everybody is refused, and says what would be right', () => {
  const file = join(directory, 'wrong')
  for (const [text, mode, fault] of [
    ['planted', 0o600, /expected 32 bytes or more in base64/],
    [`${'planted '.repeat(20)}`, 0o600, /expected 32 bytes/],
    ['x'.repeat(5_000), 0o600, /no file for it/],
    [systemRandom.bytes(32).toString('base64'), 0o644, /everybody may read or write it: chmod 600/],
  ] as const) {
    writeFileSync(file, text)
    chmodSync(file, mode)
    assert.throws(
      () => poolSecret(file, systemRandom),
      (error) => error instanceof StoreError && fault.test(error.message) && !error.message.includes('planted'),
    )
  }
  for (const odd of [directory, '/dev/zero', '/nowhere/there'])
    assert.throws(() => poolSecret(odd, systemRandom), StoreError)
})

import assert from 'node:assert/strict'
import { execFileSync } from 'node:child_process'
import {
  chmodSync,
  chownSync,
  mkdirSync,
  mkdtempSync,
  readdirSync,
  readFileSync,
  rmSync,
  statSync,
  symlinkSync,
  writeFileSync,
} from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { describe, it } from 'node:test'
import { FakeClock } from '../lib/fake-clock.ts'
import { seededRandom } from '../lib/random.ts'
import { adminKeyFile, createAdminKey, readAdminKey, resetAdminKey } from './admin-key.ts'
import { KeyRing } from './key-ring.ts'
import { MemoryKeyStore } from './memory-key-store.ts'

function createPlace() {
  const directory = mkdtempSync(join(tmpdir(), 'cbtor-admin-'))
  const ring = new KeyRing({ store: new MemoryKeyStore(), clock: new FakeClock(), random: seededRandom(1) })
  return {
    directory,
    ring,
    file: adminKeyFile(directory),
    [Symbol.dispose]: () => rmSync(directory, { recursive: true, force: true }),
  }
}

describe('the admin key', () => {
  it('is in a file that only its owner can read, whatever was there before, and nothing else is left', () => {
    using place = createPlace()
    const { file, ring, directory } = place
    assert.equal(readAdminKey(file), undefined)
    writeFileSync(file, 'of the past', { mode: 0o644 })
    const text = createAdminKey(ring, file)
    assert.equal(readFileSync(file, 'utf8'), `${text}\n`)
    assert.equal(statSync(file).mode & 0o777, 0o600)
    assert.deepEqual(readdirSync(directory), ['admin.key'])
    assert.equal(readAdminKey(file), text)
    assert.ok(ring.authenticate(text)?.scopes.has('admin'))
  })

  it('is of whom the state directory is of, also when root makes it', () => {
    using place = createPlace()
    const { file, ring, directory } = place
    if (process.getuid?.() === 0) chownSync(directory, 65_534, 65_534)
    createAdminKey(ring, file)
    const owners = [file, directory].map((path) => statSync(path)).map(({ uid, gid }) => [uid, gid])
    assert.deepEqual(owners[0], owners[1])
  })

  it('is not made where its file cannot be written', () => {
    using place = createPlace()
    const { file, ring, directory } = place
    const elsewhere = join(directory, 'elsewhere')
    symlinkSync(elsewhere, file)
    assert.throws(() => createAdminKey(ring, file), /Cannot write the key to .*admin\.key: a symbolic link is there/)
    rmSync(file)
    mkdirSync(file)
    assert.throws(() => createAdminKey(ring, file), /what is there is not a file/)
    assert.throws(() => createAdminKey(ring, '/proc/nowhere/admin.key'), /Cannot write the key to \/proc\/nowhere/)
    assert.deepEqual(ring.list(), [])
    assert.deepEqual(readdirSync(directory), ['admin.key'])
  })

  it('is not read from a file that others could have read or placed', () => {
    using place = createPlace()
    const { file, ring, directory } = place
    createAdminKey(ring, file)
    for (const mode of [0o640, 0o604, 0o666]) {
      chmodSync(file, mode)
      assert.throws(
        () => readAdminKey(file),
        /others than its owner may read it \(mode \d+\): chmod 600 \/.*admin\.key$/,
      )
    }
    const link = join(directory, 'link')
    symlinkSync(file, link)
    assert.throws(() => readAdminKey(link), /it is a symbolic link/)
    assert.throws(() => readAdminKey(directory), /it is not a file/)
    const fifo = join(directory, 'fifo')
    execFileSync('mkfifo', ['-m', '600', fifo])
    assert.throws(() => readAdminKey(fifo), /it is not a file/)
  })

  it('is another after a reset, and those of the past are revoked', () => {
    using place = createPlace()
    const { file, ring } = place
    const first = createAdminKey(ring, file)
    const mine = ring.create({ name: 'mine', scopes: ['admin'] })
    const namesake = ring.create({ name: 'admin', scopes: ['fetch'] })
    const second = resetAdminKey(ring, file)
    assert.equal(readAdminKey(file), second)
    assert.equal(ring.authenticate(first), undefined)
    for (const text of [second, mine.text, namesake.text]) assert.ok(ring.authenticate(text))
  })
})

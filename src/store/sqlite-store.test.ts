import assert from 'node:assert/strict'
import { mkdtempSync, rmSync, statSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { DatabaseSync } from 'node:sqlite'
import { it } from 'node:test'
import { storeContract } from '../../test/contracts/store-contract.ts'
import { usageStoreContract } from '../../test/contracts/usage-store-contract.ts'
import { SqliteStore } from './sqlite-store.ts'

function temporaryFile() {
  const directory = mkdtempSync(join(tmpdir(), 'cbtor-store-'))
  return {
    path: join(directory, 'cbtor.db'),
    [Symbol.dispose]: () => rmSync(directory, { recursive: true }),
  }
}

for (const contract of [storeContract, usageStoreContract]) {
  contract('sqlite', async () => {
    const file = temporaryFile()
    return {
      async use(work) {
        using store = new SqliteStore(file.path)
        work(store)
      },
      [Symbol.asyncDispose]: async () => file[Symbol.dispose](),
    }
  })
}

it('keeps the pool secret that was generated', () => {
  using file = temporaryFile()
  {
    using store = new SqliteStore(file.path)
    assert.deepEqual(
      store.poolSecret(() => Buffer.alloc(32, 7)),
      Buffer.alloc(32, 7),
    )
  }
  using store = new SqliteStore(file.path)
  assert.deepEqual(
    store.poolSecret(() => assert.fail('it is there already')),
    Buffer.alloc(32, 7),
  )
})

it('lets only its owner read the file', () => {
  using file = temporaryFile()
  writeFileSync(file.path, '', { mode: 0o644 })
  using _store = new SqliteStore(file.path)
  assert.equal(statSync(file.path).mode & 0o777, 0o600)
})

it('names the file that cannot be opened', () => {
  assert.throws(() => new SqliteStore('/proc/nowhere/cbtor.db'), /Cannot open the store \/proc\/nowhere\/cbtor\.db: /)
})

it('is of one service at a time', () => {
  using file = temporaryFile()
  {
    using _first = new SqliteStore(file.path)
    assert.throws(() => new SqliteStore(file.path), /Cannot open the store .*cbtor\.db: another service uses it/)
  }
  using second = new SqliteStore(file.path)
  assert.equal(second.mode(), undefined)
})

it('refuses a file of a newer version rather than harm it', () => {
  using file = temporaryFile()
  new DatabaseSync(file.path).exec('pragma user_version = 99')
  assert.throws(() => new SqliteStore(file.path), /newer version \(schema 99, this one knows \d+\)/)
})

it('goes on with a file of the first version, and marks it as one of this', () => {
  using file = temporaryFile()
  {
    using old = new DatabaseSync(file.path)
    old.exec(`
      create table settings (name text primary key, value blob not null) strict;
      create table workers (id text primary key, desired text not null) strict;
      insert into settings values ('mode', x'737469636b79');
      insert into workers values ('tor02', 'drained');
      pragma user_version = 1`)
  }
  {
    using store = new SqliteStore(file.path)
    assert.equal(store.mode(), 'sticky')
    assert.deepEqual(store.desiredStates(), new Map([['tor02', 'drained']]))
    assert.deepEqual(store.keys(), [])
    assert.deepEqual([...store.sessions()], [])
    store.removeKey('nobody')
  }
  using now = new DatabaseSync(file.path)
  assert.ok(Number(now.prepare('pragma user_version').get()?.user_version) >= 3)
})

it('goes on with a file of the second version: what it knows of modes, workers, keys and bytes holds', () => {
  using file = temporaryFile()
  {
    using old = new DatabaseSync(file.path)
    old.exec(`
      create table settings (name text primary key, value blob not null) strict;
      create table workers (id text primary key, desired text not null) strict;
      create table usage (key text primary key, day text not null, bytes integer not null) strict;
      create table keys (
        id text primary key, name text not null, digest blob not null, scopes text not null, limits text not null,
        targets text not null, created_at integer not null, expires_at integer, last_used_at integer
      ) strict;
      insert into settings values ('mode', x'737469636b79');
      insert into usage values ('k', '2026-11-26', 5);
      insert into keys values ('k', 'a key', x'01', '["fetch"]', '{}', '{}', 1000, null, null);
      pragma user_version = 2`)
  }
  using store = new SqliteStore(file.path)
  assert.equal(store.mode(), 'sticky')
  assert.deepEqual(store.usageOn('2026-11-26'), new Map([['k', 5]]))
  assert.deepEqual(store.keys().at(0)?.key.scopes, ['fetch'])
  store.setSession('hash', { worker: 'tor01', generation: 1, createdAt: 1, endsAt: 2 })
  assert.equal(store.session('hash')?.worker, 'tor01')
  assert.deepEqual(store.checkStatistics(), new Map())
})

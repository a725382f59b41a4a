import type { DatabaseSync } from 'node:sqlite'
import { MODES, type Mode } from '../domain/exchange.ts'
import type { StoredKey } from '../domain/key.ts'
import { DESIRED_STATES, type DesiredState } from '../domain/worker.ts'
import type { Json } from '../lib/json.ts'
import { keyOf, rowOf } from './key-row.ts'
import { openDatabase } from './open-database.ts'
import { type Row, Statements } from './statements.ts'
import type { Store, StoredSession } from './store.ts'

/** Version of the tables below, kept in the file's `user_version`. An older file gets the tables that it lacks. */
const SCHEMA_VERSION = 3

const SCHEMA = `
  create table if not exists settings (name text primary key, value blob not null) strict;
  create table if not exists workers (id text primary key, desired text not null) strict;
  create table if not exists usage (key text primary key, day text not null, bytes integer not null) strict;
  create table if not exists keys (
    id text primary key, name text not null, digest blob not null, scopes text not null, limits text not null,
    targets text not null, created_at integer not null, expires_at integer, last_used_at integer
  ) strict;
  create table if not exists sessions (
    hash text primary key, worker text not null, generation integer not null, created_at integer not null,
    ends_at integer not null, label blob
  ) strict;
  create index if not exists sessions_by_end on sessions (ends_at);
  create table if not exists check_statistics (replica text primary key, json text not null) strict;
`

/** The embedded store: one SQLite file that only its owner can read, since the pool's secret is in it. */
export class SqliteStore implements Store {
  readonly #db: DatabaseSync

  /** `path`: a file, made if missing, or `:memory:`. Throws an `Error` that names the file when it cannot be used. */
  constructor(path: string) {
    this.#db = openDatabase(path, { version: SCHEMA_VERSION, tables: SCHEMA })
  }

  poolSecret(generate: () => Buffer): Buffer {
    const stored = this.#setting('pool_secret')
    if (stored !== undefined) return stored
    const secret = generate()
    this.#setSetting('pool_secret', secret)
    return secret
  }

  mode(): Mode | undefined {
    const stored = this.#setting('mode')?.toString()
    return MODES.find((mode) => mode === stored)
  }

  setMode(mode: Mode): void {
    this.#setSetting('mode', mode)
  }

  desiredStates(): ReadonlyMap<string, DesiredState> {
    const states = new Map<string, DesiredState>()
    for (const { id, desired } of this.#db.prepare('select id, desired from workers').all()) {
      const state = DESIRED_STATES.find((known) => known === desired)
      if (typeof id === 'string' && state !== undefined) states.set(id, state)
    }
    return states
  }

  usageOn(day: string): ReadonlyMap<string, number> {
    const rows = this.#db.prepare('select key, bytes from usage where day = ?').all(day)
    return new Map(rows.map(({ key, bytes }) => [String(key), Number(bytes)]))
  }

  setUsage(day: string, bytes: ReadonlyMap<string, number>): void {
    this.#writeUsage(day, bytes, 'excluded.bytes')
  }

  addUsage(day: string, bytes: ReadonlyMap<string, number>): void {
    this.#writeUsage(day, bytes, 'usage.bytes + excluded.bytes')
  }

  setDesiredState(workerId: string, desired: DesiredState): void {
    this.#db
      .prepare(
        'insert into workers (id, desired) values (?, ?) on conflict (id) do update set desired = excluded.desired',
      )
      .run(workerId, desired)
  }

  keys(): readonly StoredKey[] {
    return this.#db.prepare('select * from keys').all().map(keyOf)
  }

  addKey(stored: StoredKey): void {
    this.#db
      .prepare(
        `insert into keys (id, name, digest, scopes, limits, targets, created_at, expires_at, last_used_at)
         values (:id, :name, :digest, :scopes, :limits, :targets, :created_at, :expires_at, :last_used_at)`,
      )
      .run(rowOf(stored))
  }

  setKeyUsed(id: string, at: number): void {
    this.#db.prepare('update keys set last_used_at = ? where id = ?').run(at, id)
  }

  removeKey(id: string): void {
    this.#db.prepare('delete from keys where id = ?').run(id)
  }

  session(hash: string): StoredSession | undefined {
    const row = this.#db.prepare('select * from sessions where hash = ?').get(hash)
    return row && sessionOf(row)
  }

  sessions(): Iterable<readonly [hash: string, session: StoredSession]> {
    const rows = this.#db.prepare('select * from sessions').all()
    return rows.map((row) => [String(row.hash), sessionOf(row)] as const)
  }

  setSession(hash: string, session: StoredSession | undefined): void {
    if (session === undefined) {
      this.#db.prepare('delete from sessions where hash = ?').run(hash)
      return
    }
    const { worker, generation, createdAt, endsAt, label } = session
    this.#db
      .prepare(
        `insert or replace into sessions (hash, worker, generation, created_at, ends_at, label)
         values (?, ?, ?, ?, ?, ?)`,
      )
      .run(hash, worker, generation, createdAt, endsAt, label ?? null)
  }

  forgetSessions(endedBefore: number): void {
    this.#db.prepare('delete from sessions where ends_at < ?').run(endedBefore)
  }

  checkStatistics(): ReadonlyMap<string, Json> {
    const rows = this.#db.prepare('select replica, json from check_statistics').all()
    return new Map(rows.map(({ replica, json }) => [String(replica), JSON.parse(String(json)) as Json]))
  }

  setCheckStatistics(replica: string, statistics: Json): void {
    this.#db
      .prepare('insert or replace into check_statistics (replica, json) values (?, ?)')
      .run(replica, JSON.stringify(statistics))
  }

  /** Nobody else changes anything in it. */
  onChanged(): Disposable {
    return { [Symbol.dispose]() {} }
  }

  [Symbol.dispose](): void {
    if (this.#db.isOpen) this.#db.close()
  }

  #writeUsage(day: string, bytes: ReadonlyMap<string, number>, sum: string): void {
    const statements = new Statements(this.#db)
    statements.transaction(() => {
      statements.run('delete from usage where day <> ?', day)
      for (const [key, count] of bytes) {
        statements.run(
          `insert into usage (key, day, bytes) values (?, ?, ?) on conflict (key) do update set bytes = ${sum}`,
          ...[key, day, count],
        )
      }
    })
  }

  #setting(name: string): Buffer | undefined {
    const value = this.#db.prepare('select value from settings where name = ?').get(name)?.value
    return value instanceof Uint8Array ? Buffer.from(value) : undefined
  }

  #setSetting(name: string, value: string | Buffer): void {
    this.#db
      .prepare(
        'insert into settings (name, value) values (?, ?) on conflict (name) do update set value = excluded.value',
      )
      .run(name, typeof value === 'string' ? Buffer.from(value) : value)
  }
}

function sessionOf(row: Row): StoredSession {
  const { worker, generation, created_at, ends_at, label } = row
  return {
    worker: String(worker),
    generation: Number(generation),
    createdAt: Number(created_at),
    endsAt: Number(ends_at),
    ...(label instanceof Uint8Array && { label: Buffer.from(label) }),
  }
}

import { chmodSync, closeSync, openSync } from 'node:fs'
import { DatabaseSync } from 'node:sqlite'
import { MODES, type Mode } from '../domain/exchange.ts'
import { DESIRED_STATES, type DesiredState } from '../domain/worker.ts'
import type { Store } from './store.ts'

/** Version of the tables below, kept in the file's `user_version`. */
const SCHEMA_VERSION = 1

const SCHEMA = `
  create table if not exists settings (name text primary key, value blob not null) strict;
  create table if not exists workers (id text primary key, desired text not null) strict;
`

/** The embedded store: one SQLite file that only its owner can read, since the pool's secret is in it. */
export class SqliteStore implements Store {
  readonly #db: DatabaseSync

  /** `path`: a file, made if missing, or `:memory:`. Throws an `Error` that names the file when it cannot be used. */
  constructor(path: string) {
    try {
      if (path !== ':memory:') {
        closeSync(openSync(path, 'a', 0o600))
        chmodSync(path, 0o600)
      }
      this.#db = new DatabaseSync(path)
      // Ours alone until it is closed or this process ends: two services on one store would fight over its workers.
      this.#db.exec('pragma locking_mode = exclusive; pragma journal_mode = wal; pragma synchronous = normal')
      this.#db.exec('begin exclusive; commit')
      const version = this.#db.prepare('pragma user_version').get()?.user_version
      if (typeof version === 'number' && version > SCHEMA_VERSION) {
        this.#db.close()
        throw new Error(`it was written by a newer version (schema ${version}, this one knows ${SCHEMA_VERSION})`)
      }
      this.#db.exec(`${SCHEMA} pragma user_version = ${SCHEMA_VERSION}`)
    } catch (cause) {
      const reason = cause instanceof Error ? cause.message : String(cause)
      const why = /database is locked/.test(reason) ? 'another service uses it' : reason
      throw new Error(`Cannot open the store ${path}: ${why}`, { cause })
    }
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

  setDesiredState(workerId: string, desired: DesiredState): void {
    this.#db
      .prepare(
        'insert into workers (id, desired) values (?, ?) on conflict (id) do update set desired = excluded.desired',
      )
      .run(workerId, desired)
  }

  [Symbol.dispose](): void {
    if (this.#db.isOpen) this.#db.close()
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

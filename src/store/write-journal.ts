import type { DatabaseSync } from 'node:sqlite'
import type { Json } from '../lib/json.ts'
import { openDatabase } from './open-database.ts'

const SCHEMA_VERSION = 1

const SCHEMA = `
  create table if not exists unsent (
    pool text not null, name text not null, stamp text not null, json text, until integer, primary key (pool, name)
  ) strict;
`

interface JournalWrite {
  readonly stamp: string
  readonly value: Json | undefined
  readonly until: number | undefined
}

/**
 * What was written here and the shared store does not have yet, in a file that only its owner can read: so that no order of an
 * operator is lost when this process ends while the store is down.
 */
export class SqliteWriteJournal implements Disposable {
  readonly #db: DatabaseSync
  readonly #pool: string

  /**
   * `path`: a file, made if missing, or `:memory:`. `pool`: which one it is for: what was meant for another stays where it is. Throws
   * an `Error` that names the file when it cannot be used.
   */
  constructor(path: string, pool = '') {
    this.#pool = pool
    this.#db = openDatabase(path, { version: SCHEMA_VERSION, tables: SCHEMA })
  }

  unsent(): readonly (readonly [name: string, write: JournalWrite])[] {
    const rows = this.#db.prepare('select name, stamp, json, until from unsent where pool = ?').all(this.#pool)
    return rows.map(({ name, stamp, json, until }) => {
      const value = typeof json === 'string' ? (JSON.parse(json) as Json) : undefined
      return [String(name), { stamp: String(stamp), value, until: until === null ? undefined : Number(until) }]
    })
  }

  /** Instead of what was kept of this name. */
  keep(name: string, { stamp, value, until }: JournalWrite): void {
    this.#db
      .prepare('insert or replace into unsent (pool, name, stamp, json, until) values (?, ?, ?, ?, ?)')
      .run(this.#pool, name, stamp, value === undefined ? null : JSON.stringify(value), until ?? null)
  }

  forget(name: string): void {
    this.#db.prepare('delete from unsent where pool = ? and name = ?').run(this.#pool, name)
  }

  [Symbol.dispose](): void {
    if (this.#db.isOpen) this.#db.close()
  }
}

import { chmodSync, closeSync, openSync } from 'node:fs'
import { DatabaseSync } from 'node:sqlite'

export interface Schema {
  /** Kept in the file's `user_version`. */
  readonly version: number
  /** Makes what is not there yet: an older file gets the tables that it lacks. */
  readonly tables: string
  /** Pragmas that have to come before the first table. */
  readonly before?: string
}

/**
 * Opens a SQLite file that only its owner can read. `path`: a file, made if missing, or `:memory:`. Throws an `Error` that names
 * the file when it cannot be used.
 */
export function openDatabase(path: string, { version: known, tables, before = '' }: Schema): DatabaseSync {
  let db: DatabaseSync | undefined
  try {
    if (path !== ':memory:') {
      closeSync(openSync(path, 'a', 0o600))
      chmodSync(path, 0o600)
    }
    db = new DatabaseSync(path)
    // Ours alone until it is closed or this process ends: two services on one store would fight over what is in it.
    db.exec(`pragma locking_mode = exclusive; ${before} pragma journal_mode = wal; pragma synchronous = normal`)
    db.exec('begin exclusive; commit')
    const version = db.prepare('pragma user_version').get()?.user_version
    if (typeof version === 'number' && version > known)
      throw new Error(`it was written by a newer version (schema ${version}, this one knows ${known})`)
    db.exec(`${tables} pragma user_version = ${known}`)
    return db
  } catch (cause) {
    if (db?.isOpen) db.close()
    const reason = cause instanceof Error ? cause.message : String(cause)
    const why = /database is locked/.test(reason) ? 'another service uses it' : reason
    throw new Error(`Cannot open the store ${path}: ${why}`, { cause })
  }
}

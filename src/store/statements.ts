import type { DatabaseSync, SQLOutputValue } from 'node:sqlite'

export type Value = string | number | bigint | null | Uint8Array
export type Row = Readonly<Record<string, SQLOutputValue>>

/** A database, asked in one call. Statements are not kept: one that is holds on to its last values, whole bodies among them. */
export class Statements {
  readonly #db: DatabaseSync

  constructor(db: DatabaseSync) {
    this.#db = db
  }

  run(sql: string, ...values: readonly Value[]): void {
    this.#db.prepare(sql).run(...values)
  }

  get(sql: string, ...values: readonly Value[]): Row | undefined {
    return this.#db.prepare(sql).get(...values)
  }

  all(sql: string, ...values: readonly Value[]): readonly Row[] {
    return this.#db.prepare(sql).all(...values)
  }

  /** The number that the statement calls `n`. */
  count(sql: string, ...values: readonly Value[]): number {
    return Number(this.get(sql, ...values)?.n)
  }

  /** All of `work` or nothing of it. */
  transaction(work: () => void): void {
    this.#db.exec('begin immediate')
    try {
      work()
      this.#db.exec('commit')
    } catch (error) {
      this.#db.exec('rollback')
      throw error
    }
  }
}

import type { DatabaseSync } from 'node:sqlite'
import type {
  JobFetch,
  JobFetchView,
  JobState,
  JobTally,
  KeptProblem,
  Page,
  Phase,
  WebhookDelivery,
} from '../domain/job.ts'
import { openDatabase } from '../store/open-database.ts'
import { Statements } from '../store/statements.ts'
import { COLUMNS_OF_RESULTS, fetchOf, jobOf } from './job-rows.ts'
import { JOB_SCHEMA } from './job-schema.ts'
import type { DueFetch, FetchEnding, IdempotencyRecord, JobStore, StoredJob } from './job-store.ts'
import { answerText, noTally, parseRequest, ROW_BYTES, requestText } from './kept.ts'

/** Bodies that are removed in one go. */
const DROPPED_AT_ONCE = 64

/** Jobs in a SQLite file of their own, which only its owner can read: what is to be sent, and what came back, is in it. */
export class SqliteJobStore implements JobStore {
  readonly #db: DatabaseSync
  readonly #sql: Statements
  /** What is kept of each owner, counted along: whoever makes room asks for it often. */
  readonly #bytes = new Map<string, number>()

  /** `path`: a file, made if missing, or `:memory:`. Throws an `Error` that names the file when it cannot be used. */
  constructor(path: string) {
    this.#db = openDatabase(path, JOB_SCHEMA)
    this.#sql = new Statements(this.#db)
    const rows = this.#sql.all(
      'select owner, total(bytes) as bytes, count(*) as n from (select owner, bytes from fetches union all select owner, 0 from jobs) group by owner',
    )
    for (const { owner, bytes, n } of rows) this.#grow(String(owner), Number(bytes) + Number(n) * ROW_BYTES)
  }

  add(
    job: StoredJob,
    fetches: readonly JobFetch[],
    idempotency?: { readonly key: string; readonly digest: string },
  ): void {
    let bytes = ROW_BYTES
    this.#sql.transaction(() => {
      this.#sql.run(
        'insert into jobs (id, owner, name, state, created_at, ended_at, deadline_at, fetches, retry, webhook, delivery) values (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)',
        ...[job.id, job.owner, job.name ?? null, job.state, job.createdAt, job.endedAt ?? null, job.deadlineAt],
        ...[job.fetches, JSON.stringify(job.retry), job.webhook ? JSON.stringify(job.webhook) : null],
        JSON.stringify(job.delivery),
      )
      const fetch = this.#db.prepare(
        "insert into fetches (job, n, owner, url, method, encoding, state, next_at, bytes) values (?, ?, ?, ?, ?, ?, 'waiting', ?, ?)",
      )
      const request = this.#db.prepare('insert into requests (job, n, request) values (?, ?, ?)')
      for (const [n, { request: wanted, responseEncoding }] of fetches.entries()) {
        const text = requestText(wanted)
        fetch.run(
          ...[job.id, n, job.owner, wanted.url, wanted.method, responseEncoding],
          ...[job.createdAt, text.length],
        )
        request.run(job.id, n, text)
        bytes += ROW_BYTES + text.length
      }
      if (idempotency === undefined) return
      const { key, digest } = idempotency
      this.#sql.run(
        'insert or replace into ordered (owner, key, digest, job, at) values (?, ?, ?, ?, ?)',
        ...[job.owner, key, digest, job.id, job.createdAt],
      )
    })
    this.#grow(job.owner, bytes)
  }

  job(id: string): StoredJob | undefined {
    const row = this.#sql.get('select * from jobs where id = ?', id)
    return row && jobOf(row)
  }

  list({ owner, before, limit }: { owner?: string; before?: number; limit: number }): Page<StoredJob> {
    const rows = this.#sql.all(
      'select * from jobs where (?1 is null or owner = ?1) and position < ?2 order by position desc limit ?3',
      ...[owner ?? null, before ?? Number.MAX_SAFE_INTEGER, limit + 1],
    )
    const shown = rows.slice(0, limit)
    return { items: shown.map(jobOf), next: rows.length > limit ? Number(shown.at(-1)?.position) : undefined }
  }

  running(): readonly StoredJob[] {
    return this.#sql.all("select * from jobs where state = 'running' order by position").map(jobOf)
  }

  withPendingWebhook(): readonly string[] {
    const rows = this.#sql.all("select id from jobs where delivery ->> 'state' = 'pending' order by position")
    return rows.map(({ id }) => String(id))
  }

  owners(): readonly string[] {
    return this.#sql.all('select distinct owner from jobs order by owner').map(({ owner }) => String(owner))
  }

  runningCount(owner?: string): number {
    return this.#sql.count(
      "select count(*) as n from jobs where state = 'running' and (?1 is null or owner = ?1)",
      owner ?? null,
    )
  }

  countByState(): Record<JobState, number> {
    const counts = { running: 0, done: 0, cancelled: 0 }
    for (const { state, n } of this.#sql.all('select state, count(*) as n from jobs group by state'))
      counts[state as JobState] = Number(n)
    return counts
  }

  remove(id: string): void {
    this.#remove([id])
  }

  endJob(id: string, state: Exclude<JobState, 'running'>, at: number): void {
    const delivery: WebhookDelivery = { state: 'pending', tries: 0, nextAt: at }
    this.#sql.run(
      'update jobs set state = ?, ended_at = ?, delivery = case when webhook is null then delivery else ? end where id = ?',
      ...[state, at, JSON.stringify(delivery), id],
    )
  }

  setDelivery(id: string, delivery: WebhookDelivery): void {
    this.#sql.run('update jobs set delivery = ? where id = ?', JSON.stringify(delivery), id)
  }

  tally(id: string): JobTally {
    const tally = noTally()
    const rows = this.#sql.all(
      'select state, phase, count(*) as n, min(next_at) as next_at from fetches where job = ? group by state, phase',
      id,
    )
    for (const { state, phase, n, next_at: nextAt } of rows) {
      if (state === 'waiting' || state === 'running') tally[state][(phase ?? 'first') as Phase | 'first'] = Number(n)
      else tally[state as 'done' | 'failed' | 'cancelled'] += Number(n)
      if (state === 'waiting') tally.nextAt = Math.min(tally.nextAt ?? Number.POSITIVE_INFINITY, Number(nextAt))
    }
    return tally
  }

  outlook(id: string): { nextAt: number | undefined; isOver: boolean } {
    const first = this.#sql.get("select min(next_at) as at from fetches where job = ? and state = 'waiting'", id)?.at
    if (typeof first === 'number') return { nextAt: first, isOver: false }
    const running = this.#sql.get("select 1 from fetches where job = ? and state = 'running' limit 1", id)
    return { nextAt: undefined, isOver: running === undefined }
  }

  due(id: string, now: number): DueFetch | undefined {
    const row = this.#sql.get(
      "select n, in_descriptor, in_circuit, in_http from fetches where job = ? and state = 'waiting' and next_at <= ? order by next_at, n limit 1",
      ...[id, now],
    )
    if (row === undefined) return undefined
    const wanted = this.#sql.get('select request from requests where job = ? and n = ?', id, Number(row.n))
    return {
      n: Number(row.n),
      request: parseRequest(String(wanted?.request)),
      failures: { descriptor: Number(row.in_descriptor), circuit: Number(row.in_circuit), http: Number(row.in_http) },
    }
  }

  begin(id: string, n: number, { isDurable = false }: { readonly isDurable?: boolean } = {}): void {
    if (isDurable) this.#db.exec('pragma synchronous = full')
    try {
      this.#sql.run("update fetches set state = 'running', next_at = null where job = ? and n = ?", id, n)
    } finally {
      if (isDurable) this.#db.exec('pragma synchronous = normal')
    }
  }

  putOff(id: string, n: number, nextAt: number, failedIn?: Parameters<JobStore['putOff']>[3]): void {
    const where = "job = ? and n = ? and state = 'running'"
    if (failedIn === undefined) {
      this.#sql.run(`update fetches set state = 'waiting', next_at = ? where ${where}`, nextAt, id, n)
      return
    }
    const { phase, problem } = failedIn
    this.#sql.run(
      `update fetches set state = 'waiting', next_at = ?, phase = ?, tries = tries + 1, in_${phase} = in_${phase} + 1,
        problem = coalesce(?, problem) where ${where}`,
      ...[nextAt, phase, problem ? JSON.stringify(problem) : null, id, n],
    )
  }

  end(id: string, n: number, at: number, ending: FetchEnding): void {
    const row = this.#sql.get(
      "select owner, bytes from fetches where job = ? and n = ? and state in ('waiting', 'running')",
      id,
      n,
    )
    if (row === undefined) return
    const isDone = ending.state === 'done'
    const head = isDone ? answerText(ending.answer) : undefined
    const body = isDone ? ending.answer.body : new Uint8Array()
    const problem = isDone ? null : JSON.stringify(ending.problem)
    const bytes = (head?.length ?? 0) + body.length + (problem?.length ?? 0)
    this.#sql.transaction(() => {
      this.#sql.run(
        `update fetches set state = ?, tries = tries + 1, next_at = null, ended_at = ?, problem = ?, body_bytes = ?, has_body = ?,
          bytes = ? where job = ? and n = ?`,
        ...[ending.state, at, problem, body.length, Number(body.length > 0), bytes, id, n],
      )
      this.#sql.run('delete from requests where job = ? and n = ?', id, n)
      if (head !== undefined)
        this.#sql.run('insert into answers (job, n, head, body) values (?, ?, ?, ?)', id, n, head, body)
    })
    this.#grow(String(row.owner), bytes - Number(row.bytes))
  }

  cancelRest(id: string, at: number): void {
    this.#endAll(id, "state in ('waiting', 'running')", "state = 'cancelled'", at)
  }

  failWaiting(id: string, at: number, problem: KeptProblem): void {
    this.#endAll(
      id,
      "state = 'waiting'",
      "state = 'failed', problem = coalesce(problem, ?3)",
      at,
      JSON.stringify(problem),
    )
  }

  interrupted(): { id: string; n: number; method: string; failuresInHttp: number }[] {
    const rows = this.#sql.all("select job, n, method, in_http from fetches where state = 'running' order by job, n")
    return rows.map(({ job, n, method, in_http: failed }) => ({
      ...{ id: String(job), n: Number(n), method: String(method), failuresInHttp: Number(failed) },
    }))
  }

  results(
    id: string,
    { from, limit, maxBodyBytes }: { from: number; limit: number; maxBodyBytes: number },
  ): Page<JobFetchView> {
    const rows = this.#sql.all(
      `select ${COLUMNS_OF_RESULTS}, case when length(body) <= ?4 then body end as shown_body from fetches
        left join answers using (job, n) where job = ?1 and n >= ?2 order by n limit ?3`,
      ...[id, from, limit + 1, maxBodyBytes],
    )
    return { items: rows.slice(0, limit).map(fetchOf), next: rows.length > limit ? from + limit : undefined }
  }

  result(id: string, n: number): JobFetchView | undefined {
    const row = this.#sql.get(
      `select ${COLUMNS_OF_RESULTS}, body as shown_body from fetches left join answers using (job, n) where job = ? and n = ?`,
      ...[id, n],
    )
    return row && fetchOf(row)
  }

  bytes(): number {
    let sum = 0
    for (const bytes of this.#bytes.values()) sum += bytes
    return sum
  }

  ownersBySize(): readonly string[] {
    return [...this.#bytes].sort(([, a], [, b]) => b - a).map(([owner]) => owner)
  }

  dropOldestBodies(owner: string): number {
    let freed = 0
    this.#sql.transaction(() => {
      const rows = this.#sql.all(
        `select job, n, body_bytes from fetches where has_body = 1 and owner = ? order by ended_at limit ${DROPPED_AT_ONCE}`,
        owner,
      )
      for (const { job, n, body_bytes: bytes } of rows) {
        this.#sql.run('update answers set body = null where job = ? and n = ?', String(job), Number(n))
        this.#sql.run(
          'update fetches set has_body = 0, bytes = bytes - body_bytes where job = ? and n = ?',
          ...[String(job), Number(n)],
        )
        freed += Number(bytes)
      }
    })
    this.#grow(owner, -freed)
    this.#shrink()
    return freed
  }

  removeOldestEnded(owner: string): boolean {
    const row = this.#sql.get(
      "select id from jobs where owner = ? and state <> 'running' order by ended_at, position limit 1",
      owner,
    )
    if (row) this.remove(String(row.id))
    return row !== undefined
  }

  removeEndedBefore(at: number, orderedBefore: number): void {
    this.#remove(this.#sql.all('select id from jobs where ended_at < ?', at).map(({ id }) => String(id)))
    this.#sql.run('delete from ordered where at < ?', orderedBefore)
  }

  ordered(owner: string, key: string): IdempotencyRecord | undefined {
    const row = this.#sql.get('select digest, job, at from ordered where owner = ? and key = ?', owner, key)
    return row && { digest: String(row.digest), jobId: String(row.job), at: Number(row.at) }
  }

  orderedCount(owner: string): number {
    return this.#sql.count('select count(*) as n from ordered where owner = ?', owner)
  }

  [Symbol.dispose](): void {
    if (this.#db.isOpen) this.#db.close()
  }

  #remove(ids: readonly string[]): void {
    for (const id of ids) {
      const owner = this.#sql.get('select owner from jobs where id = ?', id)?.owner
      if (owner === undefined) continue
      const freed = this.#sql.get('select total(bytes) as bytes, count(*) as n from fetches where job = ?', id)
      this.#sql.transaction(() => {
        for (const table of ['fetches', 'requests', 'answers']) this.#sql.run(`delete from ${table} where job = ?`, id)
        this.#sql.run('delete from jobs where id = ?', id)
      })
      this.#grow(String(owner), -Number(freed?.bytes) - (Number(freed?.n) + 1) * ROW_BYTES)
    }
    if (ids.length === 0) return
    this.#shrink()
    // What is gone is to be gone from the write-ahead log, too.
    this.#db.exec('pragma wal_checkpoint(truncate)')
  }

  /** `change`: with `?3` for the problem, if there is one. */
  #endAll(id: string, which: string, change: string, at: number, ...problem: readonly string[]): void {
    const row = this.#sql.get(
      `select owner, total(bytes) as bytes from fetches where job = ? and ${which} group by owner`,
      id,
    )
    if (row === undefined) return
    this.#sql.transaction(() => {
      this.#sql.run(
        `delete from requests where job = ?1 and n in (select n from fetches where job = ?1 and ${which})`,
        id,
      )
      this.#sql.run(
        `update fetches set ${change}, next_at = null, ended_at = ?2, bytes = 0 where job = ?1 and ${which}`,
        ...[id, at, ...problem],
      )
    })
    this.#grow(String(row.owner), -Number(row.bytes))
  }

  #grow(owner: string, bytes: number): void {
    const kept = (this.#bytes.get(owner) ?? 0) + bytes
    if (kept > 0) this.#bytes.set(owner, kept)
    else this.#bytes.delete(owner)
  }

  /** Gives back what was freed, to the file system. */
  #shrink(): void {
    this.#db.exec('pragma incremental_vacuum')
  }
}

import { createHmac, hkdfSync } from 'node:crypto'
import type { Script, StoreArgument, StoreLink } from '../../cluster/store-link.ts'
import type { FetchAnswer } from '../../domain/exchange.ts'
import type { JobFetch, JobFetchView, JobState, KeptProblem, Page, Phase, WebhookDelivery } from '../../domain/job.ts'
import { isIdempotent } from '../../domain/method.ts'
import type { Random } from '../../lib/random.ts'
import { Seal } from '../../lib/seal.ts'
import type { StoredJob } from '../job-store.ts'
import { answerText, ROW_BYTES, requestText } from '../kept.ts'
import { fetchOf, LETTER_OF, type LedgerJob, listOf, orderText, parseTurn, recordOf, type Turn } from './ledger-rows.ts'
import { ADD, CANCEL, LIST, MAKE_ROOM, ORDERED, REMOVE, RESULTS, SHOW, SUMS, SWEEP } from './scripts-keep.ts'
import { BEAT, BEGIN, DELIVERY, END, GIVEN, HOOKS, LEAVE, PIECE, RECHECK, REST, TO_GIVE } from './scripts-turn.ts'
import type { Unit } from './unit-queue.ts'

export interface JobLedgerOptions {
  readonly link: Pick<StoreLink, 'key' | 'run'>
  /** Of the pool: at least 32 bytes. */
  readonly secret: Buffer
  readonly random: Random
  /** Of this run of this replica: another one of its next run. */
  readonly run: string
}

/** A slot of a job: so many of its fetches may go on at the same time. BullMQ has a unit for each. */
export interface Slot {
  readonly id: string
  readonly slot: number
}

/** How long a replica that holds a fetch must be silent, while somebody looks, until it is given up. */
const SILENCE_MS = 4_000
/** A fetch is given up after so many interruptions at least, whatever its caller says of retries. */
const LEAST_INTERRUPTIONS = 3
/** Of a body, sealed, in one go: the store is asked for other things meanwhile, and answers in time. */
const PIECE_BYTES = 1024 * 1024
const RUNS_KEPT_MS = 86_400_000
/** Idempotency-Keys of a caller; each of them costs a row. */
const MAX_KEYS = 10_000

export interface Limits {
  readonly maxJobs: number
  readonly maxJobsPerCaller: number
  readonly maxBytes: number
  readonly slots: number
  /** When an Idempotency-Key is forgotten, epoch ms. */
  readonly oldestKey: number
}

export type Added =
  | { readonly type: 'new' | 'reused' | 'gone' }
  | { readonly type: 'old'; readonly id: string }
  /** So many bytes are needed. */
  | { readonly type: 'room'; readonly bytes: number }
  | { readonly type: 'full'; readonly why: 'jobs' | 'own' | 'keys' }

export type Ending =
  | { readonly type: 'done'; readonly answer: FetchAnswer }
  | { readonly type: 'failed'; readonly problem: KeptProblem }
  | { readonly type: 'retry'; readonly phase: Phase; readonly at: number; readonly problem?: KeptProblem }
  | { readonly type: 'wait'; readonly at: number }

/** Problems that a turn may come to by itself. */
export interface TurnProblems {
  readonly late: KeptProblem
  readonly interrupted: KeptProblem
  readonly mayBeSent: KeptProblem
}

/**
 * Jobs in the shared store. Each call is one script: it happens as a whole or not at all, whoever else calls. What jobs and fetches
 * say is sealed; states, instants, sizes, ids and owners are not. Rejects with `StoreUnavailable`, and then it may have happened.
 */
export class JobLedger {
  readonly #options: JobLedgerOptions
  readonly #seal: Seal
  readonly #digestKey: Buffer
  readonly #base: string

  constructor(options: JobLedgerOptions) {
    const { link, secret, random } = options
    this.#options = options
    this.#seal = new Seal(secret, 'jobs', random)
    this.#digestKey = Buffer.from(hkdfSync('sha256', secret, '', 'cbtor job keys', 32))
    this.#base = link.key('jobs')
  }

  /** The channel that tells of jobs whose fetches are to end at once: `ended ID`, or `gone ID` when nothing is left of it. */
  get stopChannel(): string {
    return `${this.#base}:stop`
  }

  async add(
    job: StoredJob,
    fetches: readonly JobFetch[],
    limits: Limits,
    idempotency?: { readonly key: string; readonly digest: string },
  ): Promise<Added> {
    const { id, owner } = job
    const rows = fetches.flatMap(({ request, responseEncoding }, n) => {
      const text = requestText(request)
      const view = JSON.stringify({ url: request.url, method: request.method, encoding: responseEncoding })
      const mayRepeat = isIdempotent(request.method) ? 1 : 0
      return [this.#close(`${id} ${n} q`, text), this.#close(`${id} ${n} v`, view), text.length, mayRepeat]
    })
    const answer = listOf(
      await this.#run(
        ADD,
        ...[id, owner, job.createdAt, job.deadlineAt, this.#close(`${id} s`, orderText(job))],
        ...[job.webhook === undefined ? 0 : 1, job.retry.phases.http.maxRetries],
        ...[limits.maxJobs, limits.maxJobsPerCaller, limits.maxBytes, limits.slots, ROW_BYTES],
        ...[idempotency ? this.#digest(owner, idempotency.key) : ''],
        ...[idempotency ? this.#digest(owner, idempotency.digest) : '', MAX_KEYS, limits.oldestKey],
        ...rows,
      ),
    )
    const [type, value] = answer
    if (type === 'old') return { type, id: String(value) }
    if (type === 'room') return { type, bytes: Number(value) }
    if (type === 'full') return { type, why: String(value) as 'jobs' | 'own' | 'keys' }
    return { type: String(type) as 'new' | 'reused' | 'gone' }
  }

  /** What was ordered under the Idempotency-Key: whether it is the same order, and the job. */
  async ordered(
    owner: string,
    { key, digest }: { readonly key: string; readonly digest: string },
    oldestKey: number,
  ): Promise<{ readonly isSame: boolean; readonly id: string } | undefined> {
    const [known, id] = listOf(await this.#run(ORDERED, owner, this.#digest(owner, key), oldestKey))
    return known === undefined ? undefined : { isSame: known === this.#digest(owner, digest), id: String(id) }
  }

  async job(id: string): Promise<LedgerJob | undefined> {
    const row = await this.#run(SHOW, id)
    return Array.isArray(row) && row.length > 0 ? this.#job(row) : undefined
  }

  /** The newest first. */
  async list(query: {
    readonly owner?: string
    readonly before?: number
    readonly limit: number
  }): Promise<Page<LedgerJob>> {
    const { owner = '', before = Number.MAX_SAFE_INTEGER, limit } = query
    const jobs = listOf(await this.#run(LIST, owner, before, limit)).map((row) => this.#job(listOf(row)))
    const items = jobs.slice(0, limit)
    return { items, next: jobs.length > limit ? items.at(-1)?.position : undefined }
  }

  /** In order; bodies of more than `maxBodyBytes` are left out. */
  async results(
    id: string,
    { from, limit, maxBodyBytes }: { readonly from: number; readonly limit: number; readonly maxBodyBytes?: number },
  ): Promise<Page<JobFetchView>> {
    const rows = listOf(await this.#run(RESULTS, id, from, limit + 1, maxBodyBytes ?? -1))
    const open = (n: number) => (kind: string, text: string) =>
      this.#open(kind === 'p' ? `${id} p` : `${id} ${n} ${kind}`, text)
    const items = rows.slice(0, limit).map((row, at) => fetchOf(listOf(row), from + at, open(from + at)))
    return { items, next: rows.length > limit ? from + limit : undefined }
  }

  /** False when it had ended. */
  async cancel(id: string, now: number): Promise<boolean> {
    return (await this.#run(CANCEL, id, now)) === 1
  }

  /** False when it has not ended, unless `isForced`. */
  async remove(id: string, isForced = false): Promise<boolean> {
    return (await this.#run(REMOVE, id, isForced ? 1 : 0)) === 1
  }

  /** Removes bodies and jobs until no more than `maxBytes` are kept, but not all at once. */
  async makeRoom(maxBytes: number, removals: number): Promise<{ readonly bytes: number; readonly isMore: boolean }> {
    const [bytes, isMore] = listOf(await this.#run(MAKE_ROOM, Math.max(0, Math.floor(maxBytes)), removals))
    return { bytes: Number(bytes), isMore: isMore === 1 }
  }

  /** Returns how many jobs went; more may be left. */
  async sweep(endedBefore: number, orderedBefore: number): Promise<number> {
    return Number(await this.#run(SWEEP, endedBefore, orderedBefore, RUNS_KEPT_MS))
  }

  async sums(): Promise<{
    readonly jobs: Readonly<Record<JobState, number>>
    readonly bytes: number
    readonly owners: readonly string[]
  }> {
    const [sums, owners] = listOf(await this.#run(SUMS)).map(listOf)
    const [running, done, cancelled, bytes] = (sums ?? []).map(Number)
    return {
      jobs: { running: running ?? 0, done: done ?? 0, cancelled: cancelled ?? 0 },
      bytes: bytes ?? 0,
      owners: (owners ?? []).map(String),
    }
  }

  /** Begins what is due. Asked again with the same `turn`, it says the same. */
  async begin({ id, slot }: Slot, turn: string, now: number, problems: TurnProblems): Promise<Turn> {
    const sealed = [problems.late, problems.interrupted, problems.mayBeSent].map((each) => this.#problem(id, each))
    const { run } = this.#options
    const answer = await this.#run(BEGIN, id, slot, run, turn, now, SILENCE_MS, LEAST_INTERRUPTIONS, ...sealed)
    return parseTurn(listOf(answer), (kind, n, text) =>
      this.#open(n === undefined ? `${id} ${kind}` : `${id} ${n} ${kind}`, text),
    )
  }

  /** `n`: the fetch that the turn began. */
  async end({ id, slot }: Slot, n: number, turn: string, now: number, ending: Ending): Promise<Turn> {
    const sealed = ending.type === 'done' && ending.answer.body.length > 0 ? this.#body(id, n, ending.answer.body) : ''
    const isLong = sealed.length > PIECE_BYTES
    for (let at = 0; isLong && at < sealed.length; at += PIECE_BYTES)
      await this.#run(PIECE, turn, at, sealed.slice(at, at + PIECE_BYTES))
    const answer = await this.#run(END, id, slot, turn, now, ...this.#ending(id, n, ending, isLong ? '' : sealed))
    return parseTurn(listOf(answer), () => undefined)
  }

  /** Its caller may begin nothing before `until`. */
  async rest({ id, slot }: Slot, until: number): Promise<Turn> {
    return parseTurn(listOf(await this.#run(REST, id, slot, Math.ceil(until))), () => undefined)
  }

  /** This replica lives, and fetches for these jobs; returns those of them that have ended. */
  async beat(ids: readonly string[]): Promise<readonly string[]> {
    return listOf(await this.#run(BEAT, this.#options.run, ...ids)).map(String)
  }

  /** This replica fetches no more. */
  async leave(): Promise<void> {
    await this.#run(LEAVE, this.#options.run)
  }

  /** Units that BullMQ is to be given, and was to be for `ageMs` at least. */
  async toGive(ageMs: number, limit: number): Promise<readonly Unit[]> {
    return listOf(await this.#run(TO_GIVE, ageMs, limit)).map((each) => {
      const [unit, tag, owner] = listOf(each)
      return { id: String(unit), tag: Number(tag), owner: String(owner) }
    })
  }

  async given(units: readonly string[]): Promise<void> {
    if (units.length > 0) await this.#run(GIVEN, ...units)
  }

  /** All units of some jobs that run are to be given once more. Returns how many jobs that were. */
  async recheck(from: number, count: number): Promise<number> {
    return Number(await this.#run(RECHECK, from, count))
  }

  /** Ids of jobs whose webhook is due. */
  async hooks(before: number, limit: number): Promise<readonly string[]> {
    return listOf(await this.#run(HOOKS, before, limit)).map(String)
  }

  async setDelivery(id: string, { state, tries, nextAt, outcome }: WebhookDelivery): Promise<void> {
    const sealed = outcome === undefined ? '' : this.#close(`${id} ho`, outcome)
    await this.#run(DELIVERY, id, state, tries, nextAt ?? '', sealed)
  }

  #ending(id: string, n: number, ending: Ending, body: string): readonly StoreArgument[] {
    switch (ending.type) {
      case 'done': {
        const { length } = ending.answer.body
        const head = answerText(ending.answer)
        return ['done', this.#close(`${id} ${n} h`, head), body, length, head.length + length]
      }
      case 'failed': {
        const problem = this.#problem(id, ending.problem)
        return ['failed', problem, problem.length]
      }
      case 'retry':
        return ['retry', LETTER_OF[ending.phase], ending.at, ending.problem ? this.#problem(id, ending.problem) : '']
      case 'wait':
        return ['wait', ending.at]
    }
  }

  #job(row: readonly unknown[]): LedgerJob {
    return recordOf(row, (id, kind, text) => this.#open(`${id} ${kind}`, text))
  }

  #body(id: string, n: number, body: Uint8Array): string {
    return this.#close(`${id} ${n} b`, Buffer.from(body))
  }

  #problem(id: string, problem: KeptProblem): string {
    return this.#close(`${id} p`, JSON.stringify(problem))
  }

  /** Base64, as answers of the store are read as text. */
  #close(context: string, text: string | Buffer): string {
    return this.#seal.seal(context, text).toString('base64')
  }

  #open(context: string, text: string): Buffer | undefined {
    return this.#seal.open(context, Buffer.from(text, 'base64'))
  }

  /** What nobody can guess who has only the store. */
  #digest(owner: string, text: string): string {
    return createHmac('sha256', this.#digestKey).update(`${owner} ${text}`).digest('base64url')
  }

  async #run(script: Script, ...args: readonly StoreArgument[]): Promise<unknown> {
    return await this.#options.link.run(script, [this.#base], args)
  }
}

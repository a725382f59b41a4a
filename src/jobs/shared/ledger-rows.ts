import type { JobFetch, JobFetchView, JobState, JobTally, KeptProblem, Phase, RetryPolicy } from '../../domain/job.ts'
import type { StoredJob } from '../job-store.ts'
import { parseAnswer, parseRequest } from '../kept.ts'

/** A job as the store has it. */
export interface LedgerJob extends StoredJob {
  readonly tally: JobTally
  /** Newer ones have higher numbers. */
  readonly position: number
}

/** What a slot of a job is to do. */
export type Turn =
  /** Nothing, ever. `ended`: and so the whole job has. */
  | { readonly type: 'over' | 'ended' }
  /** The fetch was not, or is no longer, this turn's. */
  | { readonly type: 'lost' }
  | { readonly type: 'line'; readonly tag: number }
  | { readonly type: 'sleep'; readonly at: number }
  /** Another replica may still be at it: look again after that many ms. */
  | { readonly type: 'held'; readonly ms: number }
  | {
      readonly type: 'go'
      readonly n: number
      /** Undefined when it was not sealed by this pool. */
      readonly request: JobFetch['request'] | undefined
      readonly failures: Readonly<Record<Phase, number>>
      readonly retry: RetryPolicy | undefined
      readonly deadlineAt: number
    }

export const LETTER_OF: Readonly<Record<Phase, string>> = { descriptor: 'd', circuit: 'c', http: 'h' }
const PHASE_OF: Readonly<Record<string, Phase>> = { d: 'descriptor', c: 'circuit', h: 'http' }

export function listOf(value: unknown): readonly unknown[] {
  return Array.isArray(value) ? value : []
}

/** What of a job is sealed. */
export function orderText({ name, retry, webhook }: StoredJob): string {
  return JSON.stringify({ name, retry, webhook })
}

type Order = Pick<StoredJob, 'retry'> & Partial<Pick<StoredJob, 'name' | 'webhook'>>

export function recordOf(
  row: readonly unknown[],
  open: (id: string, kind: string, text: string) => Buffer | undefined,
): LedgerJob {
  const fields = new Map<string, string>()
  for (let n = 0; n + 1 < row.length; n += 2) fields.set(String(row[n]), String(row[n + 1]))
  const text = (name: string) => fields.get(name) ?? ''
  const number = (name: string) => Number(text(name))
  const instant = (name: string) => (text(name) === '' ? undefined : number(name))
  const id = text('id')
  const order = open(id, 's', text('s'))
  if (order === undefined) throw new Error(`Cannot read job ${id}: it was not sealed by this pool`)
  const { name, retry, webhook } = JSON.parse(order.toString()) as Order
  const outcome = text('ho') === '' ? undefined : open(id, 'ho', text('ho'))?.toString()
  const nextTryAt = instant('ha')
  const byPhase = (letter: string) => ({
    ...{ first: number(`${letter}0`), descriptor: number(`${letter}d`) },
    ...{ circuit: number(`${letter}c`), http: number(`${letter}h`) },
  })
  return {
    ...{ id, owner: text('o'), name, state: text('st') as JobState, position: number('q') },
    ...{ createdAt: number('ca'), endedAt: instant('ea'), deadlineAt: number('da'), fetches: number('n') },
    ...{ retry, webhook },
    delivery: {
      state: text('hs') as StoredJob['delivery']['state'],
      tries: number('ht'),
      ...(nextTryAt !== undefined && { nextAt: nextTryAt }),
      ...(outcome !== undefined && { outcome }),
    },
    tally: {
      ...{ waiting: byPhase('w'), running: byPhase('r') },
      ...{ done: number('dn'), failed: number('fl'), cancelled: number('cn'), nextAt: instant('na') },
    },
  }
}

/** `row`: as `RESULTS` has it. `open`: of this fetch. */
export function fetchOf(
  row: readonly unknown[],
  n: number,
  open: (kind: string, text: string) => Buffer | undefined,
): JobFetchView {
  const [state, ph, tries, nextAt, endedAt, bytes, isKept, v, p, h, b] = row.map(String)
  const read = (kind: string, text = '') => (text === '' ? undefined : open(kind, text)?.toString())
  const shown = JSON.parse(read('v', v) ?? '{}') as {
    readonly url?: string
    readonly method?: string
    readonly encoding?: JobFetch['responseEncoding']
  }
  const problem = read('p', p)
  const head = read('h', h)
  const bodyBytes = Number(bytes)
  const body = (): JobFetchView['body'] => {
    if (bodyBytes === 0) return new Uint8Array()
    if (isKept !== '1') return 'removed'
    return b === '' || b === undefined ? 'too-large' : (open('b', b) ?? 'removed')
  }
  return {
    ...{ n, url: shown.url ?? '', method: shown.method ?? '', responseEncoding: shown.encoding ?? 'auto' },
    ...{ state: state as JobFetchView['state'], phase: PHASE_OF[ph ?? ''], tries: Number(tries) },
    nextAt: nextAt === '' ? undefined : Number(nextAt),
    endedAt: endedAt === '' ? undefined : Number(endedAt),
    answer: head === undefined ? undefined : parseAnswer(head),
    body: head === undefined ? undefined : body(),
    bodyBytes,
    problem: problem === undefined ? undefined : (JSON.parse(problem) as KeptProblem),
  }
}

/** `open`: what is sealed of the job, or of its fetch `n`. */
export function parseTurn(
  answer: readonly unknown[],
  open: (kind: string, n: number | undefined, text: string) => Buffer | undefined,
): Turn {
  const [type, value] = answer
  switch (type) {
    case 'line':
      return { type, tag: Number(value) }
    case 'sleep':
      return { type, at: Number(value) }
    case 'held':
      return { type, ms: Number(value) }
    case 'over':
    case 'ended':
    case 'lost':
      return { type }
    case 'go': {
      const n = Number(value)
      const [request, descriptor, circuit, http, order, deadlineAt] = answer.slice(2)
      const opened = open('q', n, String(request))
      const ordered = open('s', undefined, String(order))
      return {
        ...{ type, n, request: opened && parseRequest(opened.toString()) },
        failures: { descriptor: Number(descriptor), circuit: Number(circuit), http: Number(http) },
        retry: ordered && (JSON.parse(ordered.toString()) as Order).retry,
        deadlineAt: Number(deadlineAt),
      }
    }
    default:
      throw new Error(`The store answered a turn with ${JSON.stringify(type)}`)
  }
}

import type { SQLOutputValue } from 'node:sqlite'
import type { JobFetchView, JobState, WebhookDelivery } from '../domain/job.ts'
import type { Row } from '../store/statements.ts'
import type { StoredJob } from './job-store.ts'
import { parseAnswer } from './kept.ts'

/** What `fetchOf` reads, beside `shown_body`. */
export const COLUMNS_OF_RESULTS =
  'n, url, method, encoding, state, phase, tries, next_at, ended_at, problem, body_bytes, has_body, head'

export function jobOf(row: Row): StoredJob {
  return {
    id: String(row.id),
    owner: String(row.owner),
    name: textOf(row.name),
    state: row.state as JobState,
    createdAt: Number(row.created_at),
    endedAt: numberOf(row.ended_at),
    deadlineAt: Number(row.deadline_at),
    fetches: Number(row.fetches),
    retry: JSON.parse(String(row.retry)),
    webhook: row.webhook === null ? undefined : JSON.parse(String(row.webhook)),
    delivery: JSON.parse(String(row.delivery)) as WebhookDelivery,
  }
}

export function fetchOf(row: Row): JobFetchView {
  return {
    n: Number(row.n),
    url: String(row.url),
    method: String(row.method),
    responseEncoding: row.encoding as JobFetchView['responseEncoding'],
    state: row.state as JobFetchView['state'],
    phase: textOf(row.phase) as JobFetchView['phase'],
    tries: Number(row.tries),
    nextAt: numberOf(row.next_at),
    endedAt: numberOf(row.ended_at),
    answer: row.head === null ? undefined : parseAnswer(String(row.head)),
    body: row.head === null ? undefined : bodyOf(row),
    bodyBytes: Number(row.body_bytes),
    problem: row.problem === null ? undefined : JSON.parse(String(row.problem)),
  }
}

function bodyOf({ shown_body: body, body_bytes: bytes, has_body: isKept }: Row): JobFetchView['body'] {
  if (bytes === 0) return new Uint8Array()
  if (isKept === 0) return 'removed'
  return body instanceof Uint8Array ? body : 'too-large'
}

function textOf(value: SQLOutputValue | undefined): string | undefined {
  return typeof value === 'string' ? value : undefined
}

function numberOf(value: SQLOutputValue | undefined): number | undefined {
  return typeof value === 'number' ? value : undefined
}

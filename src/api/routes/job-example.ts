import { problemCore } from '../../domain/problem-body.ts'
import type { JobBody, JobResultBody } from '../schemas/job.ts'
import { ANSWER } from './fetch.ts'

const ONION = 'http://duckduckgogg42xjoc72x3sjasowoarfbgcmvfimaftt6twagswzczad.onion'

/** For the documents. */
export const REQUESTS = {
  'One page of an onion service that may be down': { fetches: [{ url: `${ONION}/` }] },
  'Some pages, for two days at most, and a call when they are there': {
    name: 'nightly',
    fetches: [{ url: `${ONION}/a` }, { url: `${ONION}/b`, sticky_key: 'b', timeout_ms: 120_000 }],
    retry: { deadline_s: 172_800, retries: { descriptor: 200, http: 10 }, on_status: [429, 503] },
    webhook: { url: 'https://example.com/hooks/cbtor', secret: 'a secret that only we two know' },
  },
}

export const JOB: JobBody = {
  id: 'job_b0cFqPzq8hYk3n2v',
  owner: '7Kq2mXw0',
  name: 'nightly',
  state: 'running',
  created_at: '2026-01-31T12:00:00.000Z',
  ended_at: null,
  deadline_at: '2026-02-02T12:00:00.000Z',
  fetches: 2,
  counts: { waiting: 1, running: 0, done: 1, failed: 0, cancelled: 0 },
  progress: {
    first: { waiting: 0, running: 0 },
    descriptor: { waiting: 1, running: 0 },
    circuit: { waiting: 0, running: 0 },
    http: { waiting: 0, running: 0 },
  },
  next_try_at: '2026-01-31T12:04:10.000Z',
  webhook: { url: 'https://example.com/hooks/cbtor', state: 'idle', tries: 0, next_try_at: null, outcome: null },
}

export const RESULT: JobResultBody = {
  n: 0,
  url: ANSWER.url,
  method: 'GET',
  state: 'done',
  phase: 'circuit',
  tries: 2,
  next_try_at: null,
  ended_at: '2026-01-31T12:00:41.000Z',
  answer: ANSWER,
  body_bytes: 33,
  body_is: 'here',
  problem: null,
}

export const FAILED: JobResultBody = {
  n: 1,
  url: `${ONION}/b`,
  method: 'GET',
  state: 'waiting',
  phase: 'descriptor',
  tries: 3,
  next_try_at: '2026-01-31T12:04:10.000Z',
  ended_at: null,
  answer: null,
  body_bytes: 0,
  body_is: null,
  problem: {
    ...problemCore('onion_not_found', 'Cannot connect to the target: Tor found no descriptor of the onion service'),
    attempts: [{ worker: 'tor02', outcome: 'onion_not_found', ms: 812.4 }],
  },
}

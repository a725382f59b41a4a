import { json } from 'node:stream/consumers'
import { Agent, fetch as undiciFetch } from 'undici'
import type { z } from 'zod'
import type { EndpointsBody } from '../api/schemas/endpoint.ts'
import type { EventBody, EventsBody, EventsLostBody } from '../api/schemas/event.ts'
import type { FetchAnswerBody } from '../api/schemas/fetch-answer.ts'
import type { fetchRawBody } from '../api/schemas/fetch-raw-request.ts'
import type { fetchBody } from '../api/schemas/fetch-request.ts'
import type { InspectedWorkerBody } from '../api/schemas/inspected-worker.ts'
import type { JobBody, JobResultBody, JobResultsBody, JobsBody } from '../api/schemas/job.ts'
import type { jobOrderBody } from '../api/schemas/job-order.ts'
import type { CreatedKeyBody, KeyBody, KeysBody, newKeyBody } from '../api/schemas/key.ts'
import type { NewCircuitsBody, NewCircuitsPendingBody } from '../api/schemas/new-circuits.ts'
import type { HealthBody, ModeAnswerBody, StatusBody } from '../api/schemas/pool.ts'
import type { ProblemBody } from '../api/schemas/problem.ts'
import type { SessionBody, SessionsBody } from '../api/schemas/session.ts'
import type { WorkerBody } from '../api/schemas/worker.ts'
import type { EventType, Severity } from '../domain/events.ts'
import type { Mode } from '../domain/exchange.ts'
import { type RawAnswer, type RawRequest, rawRequestBy } from './raw-client.ts'
import { readServerSentEvents } from './server-sent-events.ts'

/** The service answered with a problem. `message` is its detail. */
export class ApiProblem extends Error {
  override readonly name = 'ApiProblem'
  readonly problem: ProblemBody

  constructor(problem: ProblemBody) {
    super(problem.detail)
    this.problem = problem
  }
}

/** There is no service of ours at the address, or it went away before it answered. */
export class ApiUnreachable extends Error {
  override readonly name = 'ApiUnreachable'
}

/** A worker's id or number. */
export type WorkerRef = string | number

/** Which events; all that are left out are no filter. */
export interface EventsQuery {
  readonly type?: readonly EventType[]
  readonly worker?: WorkerRef
  readonly severity?: readonly Severity[]
  readonly since_id?: number
}

/** Which part of a list; `cursor`: `next_cursor` of the page before. */
export interface PageQuery {
  readonly cursor?: string
  readonly limit?: number
}

export type StreamedEvent =
  | { readonly type: 'event'; readonly event: EventBody }
  /** Events that the caller does not have are no longer kept. */
  | { readonly type: 'lost'; readonly lost: EventsLostBody }

/** Each method rejects with `ApiProblem`, `ApiUnreachable`, or the signal's reason. */
export interface ApiClient {
  fetch(request: z.input<typeof fetchBody>, signal?: AbortSignal): Promise<FetchAnswerBody>
  /** Resolves with the head of the answer; the body comes as it is read, and the signal ends it. */
  fetchRaw(request: z.input<typeof fetchRawBody>, signal?: AbortSignal): Promise<RawAnswer>
  health(signal?: AbortSignal): Promise<HealthBody>
  mode(signal?: AbortSignal): Promise<ModeAnswerBody>
  setMode(mode: Mode, signal?: AbortSignal): Promise<ModeAnswerBody>
  endpoints(signal?: AbortSignal): Promise<EndpointsBody>
  workers(signal?: AbortSignal): Promise<{ workers: WorkerBody[] }>
  worker(ref: WorkerRef, signal?: AbortSignal): Promise<InspectedWorkerBody>
  startTor(ref: WorkerRef, signal?: AbortSignal): Promise<WorkerBody>
  stopTor(ref: WorkerRef, signal?: AbortSignal): Promise<WorkerBody>
  restartTor(ref: WorkerRef, signal?: AbortSignal): Promise<WorkerBody>
  rebootBox(ref: WorkerRef, signal?: AbortSignal): Promise<WorkerBody>
  status(signal?: AbortSignal): Promise<StatusBody>
  drain(ref: WorkerRef, options?: { readonly force?: boolean }, signal?: AbortSignal): Promise<WorkerBody>
  enable(ref: WorkerRef, signal?: AbortSignal): Promise<WorkerBody>
  /** With `acts_at` instead of exits when Tor acts later than `wait_ms`. */
  newCircuits(
    ref: WorkerRef,
    options?: { readonly wait_ms?: number },
    signal?: AbortSignal,
  ): Promise<NewCircuitsBody | NewCircuitsPendingBody>
  /** With the same `idempotencyKey`, the same order within 24 hours is the same job. */
  submitJob(
    order: z.input<typeof jobOrderBody>,
    options?: { readonly idempotencyKey?: string },
    signal?: AbortSignal,
  ): Promise<JobBody>
  jobs(query?: PageQuery & { readonly owner?: string }, signal?: AbortSignal): Promise<JobsBody>
  job(id: string, signal?: AbortSignal): Promise<JobBody>
  jobResults(id: string, query?: PageQuery, signal?: AbortSignal): Promise<JobResultsBody>
  jobResult(id: string, n: number, signal?: AbortSignal): Promise<JobResultBody>
  cancelJob(id: string, signal?: AbortSignal): Promise<JobBody>
  removeJob(id: string, signal?: AbortSignal): Promise<JobBody>
  sessions(signal?: AbortSignal): Promise<SessionsBody>
  session(key: string, signal?: AbortSignal): Promise<SessionBody>
  rotateSession(key: string, signal?: AbortSignal): Promise<SessionBody>
  endSession(key: string, signal?: AbortSignal): Promise<SessionBody>
  events(query?: EventsQuery & { readonly limit?: number }, signal?: AbortSignal): Promise<EventsBody>
  /** Events as they happen, until the service closes the stream. Go on with the last event's id as `since_id`. */
  watchEvents(query?: EventsQuery, signal?: AbortSignal): AsyncGenerator<StreamedEvent, void>
  keys(signal?: AbortSignal): Promise<KeysBody>
  /** With the key itself, which nobody can tell a second time. */
  createKey(order: z.input<typeof newKeyBody>, signal?: AbortSignal): Promise<CreatedKeyBody>
  revokeKey(id: string, signal?: AbortSignal): Promise<KeyBody>
  /** In Prometheus' text format. */
  metrics(signal?: AbortSignal): Promise<string>
}

/** As much of the platform's `fetch` as is needed. */
export type HttpFetch = (
  url: string,
  init: { method: string; headers: Record<string, string>; body?: string; signal?: AbortSignal },
) => Promise<HttpAnswer>

export interface HttpAnswer {
  readonly ok: boolean
  readonly status: number
  readonly body: AsyncIterable<Uint8Array> | null
  json(): Promise<unknown>
  text(): Promise<string>
}

export interface ApiClientOptions {
  /** Where the service listens: `http://127.0.0.1:32211`, `unix:/run/cbtor.sock`. */
  readonly baseUrl: string
  /** The only certificate that the service may show, in PEM, whatever names it has; those of known authorities when left out. */
  readonly certificate?: string | undefined
  /** What every request shows; none where the service asks for none. */
  readonly key?: string | undefined
  readonly fetch?: HttpFetch
  readonly request?: RawRequest
}

const UNIX = /^unix:(\/.+)$/

export function createApiClient(options: ApiClientOptions): ApiClient {
  const { baseUrl, key } = options
  const dispatcher = patientDispatcher(options)
  const { fetch = (url, init) => undiciFetch(url, { ...init, dispatcher }), request = rawRequestBy(dispatcher) } =
    options

  /** Resolves once the headers of an answer that is no problem are there. */
  async function send(
    method: Method,
    path: string,
    signal?: AbortSignal,
    body?: object,
    headers: Readonly<Record<string, string>> = {},
  ): Promise<HttpAnswer> {
    const request = {
      method,
      headers: {
        ...headers,
        accept: '*/*',
        ...(key && { authorization: `Bearer ${key}` }),
        ...(body && { 'content-type': 'application/json' }),
      },
      ...(body && { body: JSON.stringify(body) }),
      ...(signal && { signal }),
    }
    const called = `${method} ${path.split('?', 1)[0]}`
    const answer = await told(
      fetch(`${baseUrl.replace(UNIX, 'http://localhost')}${path}`, request),
      called,
      'the service cannot be reached',
      signal,
    )
    if (answer.ok) return answer
    const problem = await told(answer.json(), called, BROKEN_OFF, signal)
    if (isProblem(problem)) throw new ApiProblem(problem)
    throw unreachable(called, `something else answered, with status ${answer.status}`)
  }

  /** Settles as `promise` does, but for our words in its rejection. */
  async function told<T>(promise: Promise<T>, called: string, reason: string, signal?: AbortSignal): Promise<T> {
    try {
      return await promise
    } catch (cause) {
      signal?.throwIfAborted()
      throw unreachable(called, reason, cause)
    }
  }

  function unreachable(called: string, reason: string, cause?: unknown): ApiUnreachable {
    return new ApiUnreachable(`Cannot call ${called}: ${reason}: ${baseUrl}`, { cause })
  }

  /** Answers are taken for what their schema says: they come from the same version of this code. */
  async function call<T>(
    method: Method,
    path: string,
    signal?: AbortSignal,
    body?: object,
    headers?: Readonly<Record<string, string>>,
  ): Promise<T> {
    const answer = await send(method, path, signal, body, headers)
    return (await told(answer.json(), `${method} ${path.split('?', 1)[0]}`, BROKEN_OFF, signal)) as T
  }

  async function fetchRaw(order: z.input<typeof fetchRawBody>, signal?: AbortSignal): Promise<RawAnswer> {
    const init = {
      method: 'POST' as const,
      headers: { 'content-type': 'application/json', ...(key && { authorization: `Bearer ${key}` }) },
      body: JSON.stringify(order),
      ...(signal && { signal }),
    }
    const url = `${baseUrl.replace(UNIX, 'http://localhost')}${RAW_PATH}`
    const answer = await told(request(url, init), `POST ${RAW_PATH}`, 'the service cannot be reached', signal)
    if (answer.headers['cbtor-delivered'] !== undefined) return answer
    const problem = await told(json(answer.body), `POST ${RAW_PATH}`, BROKEN_OFF, signal)
    if (isProblem(problem)) throw new ApiProblem(problem)
    throw unreachable(`POST ${RAW_PATH}`, `something else answered, with status ${answer.status}`)
  }

  async function* watchEvents(query: EventsQuery = {}, signal?: AbortSignal): AsyncGenerator<StreamedEvent, void> {
    const { body } = await send('GET', `/api/v1/events/stream${queryOf(query)}`, signal)
    if (body === null) return
    try {
      for await (const { event, data } of readServerSentEvents(body)) {
        if (event === 'events_lost') yield { type: 'lost', lost: JSON.parse(data) }
        else yield { type: 'event', event: JSON.parse(data) }
      }
    } catch (cause) {
      signal?.throwIfAborted()
      throw unreachable('GET /api/v1/events/stream', BROKEN_OFF, cause)
    }
  }

  const path = (ref: WorkerRef) => `/api/v1/tor/workers/${encodeURIComponent(ref)}`
  const jobPath = (id: string) => `/api/v1/jobs/${encodeURIComponent(id)}`
  const sessionPath = (key: string) => `/api/v1/sessions/${encodeURIComponent(key)}`
  return {
    fetch: (request, signal) => call('POST', '/api/v1/fetch', signal, request),
    fetchRaw,
    health: (signal) => call('GET', '/api/v1/health', signal),
    mode: (signal) => call('GET', '/api/v1/mode', signal),
    setMode: (mode, signal) => call('POST', '/api/v1/mode', signal, { mode }),
    endpoints: (signal) => call('GET', '/api/v1/endpoints', signal),
    workers: (signal) => call('GET', '/api/v1/tor/workers', signal),
    worker: (ref, signal) => call('GET', path(ref), signal),
    startTor: (ref, signal) => call('POST', `${path(ref)}/tor/start`, signal),
    stopTor: (ref, signal) => call('POST', `${path(ref)}/tor/stop`, signal),
    restartTor: (ref, signal) => call('POST', `${path(ref)}/tor/restart`, signal),
    rebootBox: (ref, signal) => call('POST', `${path(ref)}/reboot`, signal),
    status: (signal) => call('GET', '/api/v1/tor/status', signal),
    drain: (ref, options, signal) => call('POST', '/api/v1/workers/drain', signal, { worker: ref, ...options }),
    enable: (ref, signal) => call('POST', '/api/v1/workers/enable', signal, { worker: ref }),
    newCircuits: (ref, options = {}, signal) => call('POST', `${path(ref)}/newnym`, signal, options),
    submitJob: (order, { idempotencyKey } = {}, signal) =>
      call('POST', '/api/v1/jobs', signal, order, idempotencyKey ? { 'idempotency-key': idempotencyKey } : {}),
    jobs: (query = {}, signal) => call('GET', `/api/v1/jobs${queryOf(query)}`, signal),
    job: (id, signal) => call('GET', jobPath(id), signal),
    jobResults: (id, query = {}, signal) => call('GET', `${jobPath(id)}/results${queryOf(query)}`, signal),
    jobResult: (id, n, signal) => call('GET', `${jobPath(id)}/results/${n}`, signal),
    cancelJob: (id, signal) => call('POST', `${jobPath(id)}/cancel`, signal),
    removeJob: (id, signal) => call('DELETE', jobPath(id), signal),
    sessions: (signal) => call('GET', '/api/v1/sessions', signal),
    session: (key, signal) => call('GET', sessionPath(key), signal),
    rotateSession: (key, signal) => call('POST', `${sessionPath(key)}/rotate`, signal),
    endSession: (key, signal) => call('DELETE', sessionPath(key), signal),
    events: (query = {}, signal) => call('GET', `/api/v1/events${queryOf(query)}`, signal),
    watchEvents,
    keys: (signal) => call('GET', '/api/v1/keys', signal),
    createKey: (order, signal) => call('POST', '/api/v1/keys', signal, order),
    revokeKey: (id, signal) => call('DELETE', `/api/v1/keys/${encodeURIComponent(id)}`, signal),
    metrics: async (signal) => {
      const answer = await send('GET', '/metrics', signal)
      return await told(answer.text(), 'GET /metrics', BROKEN_OFF, signal)
    },
  }
}

type Method = 'GET' | 'POST' | 'DELETE'

const RAW_PATH = '/api/v1/fetch/raw'
const BROKEN_OFF = 'the answer is broken off or is not what it should be'

function queryOf(query: object): string {
  const fields = new URLSearchParams()
  for (const [name, value] of Object.entries(query)) if (value !== undefined) fields.set(name, String(value))
  return fields.size === 0 ? '' : `?${fields}`
}

function isProblem(answer: unknown): answer is ProblemBody {
  return typeof answer === 'object' && answer !== null && 'code' in answer && 'detail' in answer
}

/** A target's headers are that many in `fetch/raw`, and their names longer than they were. */
const MAX_HEADER_BYTES = 256 * 1024

/** The platform's fetch gives up after 300 s without headers, which a fetch through Tor may take; ours has its own limit. */
function patientDispatcher({ baseUrl, certificate }: ApiClientOptions): Agent {
  const pinned = certificate && { ca: certificate, allowPartialTrustChain: true, checkServerIdentity: () => undefined }
  const [, socketPath] = UNIX.exec(baseUrl) ?? []
  const connect = { ...pinned, ...(socketPath && { socketPath }) }
  return new Agent({ headersTimeout: 0, bodyTimeout: 0, maxHeaderSize: MAX_HEADER_BYTES, connect })
}

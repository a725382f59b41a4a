import { Agent, fetch as undiciFetch } from 'undici'
import type { z } from 'zod'
import type { Mode } from '../domain/exchange.ts'
import type { EndpointsBody } from './schemas/endpoint.ts'
import type { FetchAnswerBody } from './schemas/fetch-answer.ts'
import type { fetchBody } from './schemas/fetch-request.ts'
import type { HealthBody, ModeAnswerBody, StatusBody } from './schemas/pool.ts'
import type { ProblemBody } from './schemas/problem.ts'
import type { WorkerBody } from './schemas/worker.ts'

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

/** Each method rejects with `ApiProblem`, `ApiUnreachable`, or the signal's reason. */
export interface ApiClient {
  fetch(request: z.input<typeof fetchBody>, signal?: AbortSignal): Promise<FetchAnswerBody>
  health(signal?: AbortSignal): Promise<HealthBody>
  mode(signal?: AbortSignal): Promise<ModeAnswerBody>
  setMode(mode: Mode, signal?: AbortSignal): Promise<ModeAnswerBody>
  endpoints(signal?: AbortSignal): Promise<EndpointsBody>
  workers(signal?: AbortSignal): Promise<{ workers: WorkerBody[] }>
  worker(ref: WorkerRef, signal?: AbortSignal): Promise<WorkerBody>
  startTor(ref: WorkerRef, signal?: AbortSignal): Promise<WorkerBody>
  stopTor(ref: WorkerRef, signal?: AbortSignal): Promise<WorkerBody>
  restartTor(ref: WorkerRef, signal?: AbortSignal): Promise<WorkerBody>
  status(signal?: AbortSignal): Promise<StatusBody>
  drain(ref: WorkerRef, options?: { readonly force?: boolean }, signal?: AbortSignal): Promise<WorkerBody>
  enable(ref: WorkerRef, signal?: AbortSignal): Promise<WorkerBody>
}

/** As much of the platform's `fetch` as is needed. */
export type HttpFetch = (
  url: string,
  init: { method: string; headers: Record<string, string>; body?: string; signal?: AbortSignal },
) => Promise<{ readonly ok: boolean; readonly status: number; json(): Promise<unknown> }>

export interface ApiClientOptions {
  /** Where the service listens: `http://127.0.0.1:32211`. */
  readonly baseUrl: string
  readonly fetch?: HttpFetch
}

export function createApiClient(options: ApiClientOptions): ApiClient {
  const { baseUrl, fetch = patientFetch() } = options

  /** Answers are taken for what their schema says: they come from the same version of this code. */
  async function call<T>(method: 'GET' | 'POST', path: string, signal?: AbortSignal, body?: object): Promise<T> {
    const failure = (reason: string, cause?: unknown) =>
      new ApiUnreachable(`Cannot call ${method} ${path}: ${reason}: ${baseUrl}`, { cause })
    let status = 0
    let answer: unknown
    try {
      const response = await fetch(`${baseUrl}${path}`, {
        method,
        headers: { accept: 'application/json', ...(body && { 'content-type': 'application/json' }) },
        ...(body && { body: JSON.stringify(body) }),
        ...(signal && { signal }),
      })
      status = response.status
      answer = await response.json()
      if (response.ok) return answer as T
    } catch (error) {
      signal?.throwIfAborted()
      throw failure(status === 0 ? 'the service cannot be reached' : 'the answer is broken off or is not JSON', error)
    }
    if (isProblem(answer)) throw new ApiProblem(answer)
    throw failure(`something else answered, with status ${status}`)
  }

  const path = (ref: WorkerRef) => `/api/v1/tor/workers/${encodeURIComponent(ref)}`
  return {
    fetch: (request, signal) => call('POST', '/api/v1/fetch', signal, request),
    health: (signal) => call('GET', '/api/v1/health', signal),
    mode: (signal) => call('GET', '/api/v1/mode', signal),
    setMode: (mode, signal) => call('POST', '/api/v1/mode', signal, { mode }),
    endpoints: (signal) => call('GET', '/api/v1/endpoints', signal),
    workers: (signal) => call('GET', '/api/v1/tor/workers', signal),
    worker: (ref, signal) => call('GET', path(ref), signal),
    startTor: (ref, signal) => call('POST', `${path(ref)}/tor/start`, signal),
    stopTor: (ref, signal) => call('POST', `${path(ref)}/tor/stop`, signal),
    restartTor: (ref, signal) => call('POST', `${path(ref)}/tor/restart`, signal),
    status: (signal) => call('GET', '/api/v1/tor/status', signal),
    drain: (ref, options, signal) => call('POST', '/api/v1/workers/drain', signal, { worker: ref, ...options }),
    enable: (ref, signal) => call('POST', '/api/v1/workers/enable', signal, { worker: ref }),
  }
}

function isProblem(answer: unknown): answer is ProblemBody {
  return typeof answer === 'object' && answer !== null && 'code' in answer && 'detail' in answer
}

/** The platform's fetch gives up after 300 s without headers, which a fetch through Tor may take; ours has its own limit. */
function patientFetch(): HttpFetch {
  const dispatcher = new Agent({ headersTimeout: 0, bodyTimeout: 0 })
  return (url, init) => undiciFetch(url, { ...init, dispatcher })
}

import { readServerSentEvents, type ServerSentEvent } from '../../../src/client/server-sent-events.ts'
import type { ProblemBody } from './bodies.ts'

/** What the service answered instead of what was asked for, or that it did not. `message` is a sentence for people. */
export class ApiFailure extends Error {
  override readonly name = 'ApiFailure'
  /** Undefined when no answer of ours came. */
  readonly problem: ProblemBody | undefined

  constructor(message: string, problem?: ProblemBody) {
    super(message)
    this.problem = problem
  }

  /** Whether another key is needed. */
  get isAboutKey(): boolean {
    return this.problem?.status === 401
  }
}

export interface Api {
  /** Rejects with `ApiFailure`, or with the signal's reason. */
  get<T>(path: string, signal?: AbortSignal): Promise<T>
  post<T>(path: string, body?: object, signal?: AbortSignal): Promise<T>
  remove<T>(path: string, signal?: AbortSignal): Promise<T>
  /** Server-sent events; ends when the service ends them. */
  stream(path: string, signal: AbortSignal): AsyncGenerator<ServerSentEvent, void>
}

/** `keyOf`: the key to send, if there is one. `onKeyRefused` is told when the service wants another than this, and not of one that is gone. */
export function createApi(
  keyOf: () => string | undefined,
  onKeyRefused: (failure: ApiFailure) => void,
  fetch = globalThis.fetch,
): Api {
  async function send(method: string, path: string, body?: object, signal?: AbortSignal): Promise<Response> {
    const key = keyOf()
    let answer: Response
    try {
      answer = await fetch(path, {
        method,
        headers: {
          accept: 'application/json, text/event-stream',
          ...(key !== undefined && { authorization: `Bearer ${key}` }),
          ...(body && { 'content-type': 'application/json' }),
        },
        ...(body && { body: JSON.stringify(body) }),
        ...(signal && { signal }),
        ...{ cache: 'no-store', credentials: 'omit', redirect: 'error' },
      })
    } catch {
      signal?.throwIfAborted()
      throw new ApiFailure('The service did not answer. It may be stopped, or the network be cut.')
    }
    if (answer.ok) return answer
    const failure = await failureOf(answer)
    if (failure.isAboutKey && key === keyOf()) onKeyRefused(failure)
    throw failure
  }

  async function call<T>(method: string, path: string, body?: object, signal?: AbortSignal): Promise<T> {
    const answer = await send(method, path, body, signal)
    try {
      return (await answer.json()) as T
    } catch (error) {
      signal?.throwIfAborted()
      throw new ApiFailure(`The answer of the service is broken off: ${textOf(error)}.`)
    }
  }

  async function* stream(path: string, signal: AbortSignal): AsyncGenerator<ServerSentEvent, void> {
    const { body } = await send('GET', path, undefined, signal)
    if (body !== null) yield* readServerSentEvents(chunksOf(body))
  }

  return {
    get: (path, signal) => call('GET', path, undefined, signal),
    post: (path, body, signal) => call('POST', path, body, signal),
    remove: (path, signal) => call('DELETE', path, undefined, signal),
    stream,
  }
}

/** Not every browser can iterate over a stream. */
async function* chunksOf(body: ReadableStream<Uint8Array>): AsyncGenerator<Uint8Array, void> {
  const reader = body.getReader()
  try {
    for (;;) {
      const { done, value } = await reader.read()
      if (done) return
      yield value
    }
  } finally {
    await reader.cancel().catch(() => {})
  }
}

async function failureOf(answer: Response): Promise<ApiFailure> {
  const body: unknown = await answer.json().catch(() => undefined)
  if (isProblem(body)) return new ApiFailure(`${body.detail}.`, body)
  return new ApiFailure(`Something other than CBTOR answered, with status ${answer.status}.`)
}

function isProblem(body: unknown): body is ProblemBody {
  return typeof body === 'object' && body !== null && 'code' in body && 'detail' in body
}

export function textOf(error: unknown): string {
  return error instanceof Error ? error.message : String(error)
}

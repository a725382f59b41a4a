import { ApiProblem, ApiUnreachable } from './api-problem.ts'
import { OPERATIONS, type Operations, type Problem } from './openapi.ts'
import type { ByteStream, Transport, TransportAnswer, TransportRequest } from './transport.ts'

export type OperationId = keyof Operations

/** The names in the path of an operation, such as `n` in `/tor/workers/{n}`. */
type ParameterOf<Path extends string> = Path extends `${string}{${infer Name}}${infer Rest}`
  ? Name | ParameterOf<Rest>
  : never

/** What an operation takes. Its parameters and its body must be there, where the document has them. */
export type CallOptions<Id extends OperationId> = {
  readonly query?: object
  readonly headers?: Readonly<Record<string, string>>
  readonly signal?: AbortSignal | undefined
} & ([ParameterOf<(typeof OPERATIONS)[Id]>] extends [never]
  ? unknown
  : { readonly path: Readonly<Record<ParameterOf<(typeof OPERATIONS)[Id]>, string | number>> }) &
  (Operations[Id] extends { body: infer Body } ? { readonly body: Body } : unknown)

interface AnyCallOptions {
  readonly query?: object
  readonly headers?: Readonly<Record<string, string>>
  readonly signal?: AbortSignal | undefined
  readonly path?: Readonly<Record<string, string | number>>
  readonly body?: unknown
}

const BROKEN_OFF = 'the answer is broken off or is not what it should be'

/** Calls operations of the service, and tells what goes wrong in our words. */
export class Calls {
  readonly #transport: Transport
  readonly #baseUrl: string
  readonly #key: string | undefined

  constructor(transport: Transport, { baseUrl, key }: { readonly baseUrl: string; readonly key: string | undefined }) {
    this.#transport = transport
    this.#baseUrl = baseUrl
    this.#key = key
  }

  /** Answers are taken for what the document says: they come from the same version of this code. */
  async json<Id extends OperationId>(id: Id, options: CallOptions<Id>): Promise<Operations[Id]['answer']> {
    const { body } = await this.answer(id, options)
    return await this.#told(jsonOf(body), id, BROKEN_OFF, options.signal)
  }

  async text<Id extends OperationId>(id: Id, options: CallOptions<Id>): Promise<string> {
    const { body } = await this.answer(id, options)
    return await this.#told(textOf(body), id, BROKEN_OFF, options.signal)
  }

  /** Resolves once the head of an answer that is no problem is there. `isDelivered` tells it from one. */
  async answer<Id extends OperationId>(
    id: Id,
    options: CallOptions<Id>,
    isDelivered = ({ status }: TransportAnswer) => status >= 200 && status < 300,
  ): Promise<TransportAnswer> {
    const { signal }: AnyCallOptions = options
    const answer = await this.#told(
      this.#transport(this.#request(id, options)),
      id,
      'the service cannot be reached',
      signal,
    )
    if (isDelivered(answer)) return answer
    const problem = await jsonOf(answer.body).catch(() => signal?.throwIfAborted())
    if (isProblem(problem)) throw new ApiProblem(problem, retryAfterMs(answer))
    throw this.#unreachable(id, `something else answered, with status ${answer.status}`)
  }

  /** For what comes while a body is read by others. */
  brokenOff(id: OperationId, cause: unknown): ApiUnreachable {
    return this.#unreachable(id, BROKEN_OFF, cause)
  }

  #request(id: OperationId, { query = {}, path = {}, headers, body, signal }: AnyCallOptions): TransportRequest {
    const [method, template] = OPERATIONS[id].split(' ') as [TransportRequest['method'], string]
    const filled = template.replaceAll(/\{(\w+)\}/g, (_, name: string) => encodeURIComponent(path[name] ?? ''))
    return {
      method,
      path: `${filled}${queryOf(query)}`,
      headers: {
        ...headers,
        accept: '*/*',
        ...(this.#key && { authorization: `Bearer ${this.#key}` }),
        ...(body !== undefined && { 'content-type': 'application/json' }),
      },
      ...(body !== undefined && { body: JSON.stringify(body) }),
      ...(signal && { signal }),
    }
  }

  /** Settles as `promise` does, but for our words in its rejection. */
  async #told<T>(promise: Promise<T>, id: OperationId, reason: string, signal: AbortSignal | undefined): Promise<T> {
    try {
      return await promise
    } catch (cause) {
      signal?.throwIfAborted()
      throw this.#unreachable(id, reason, cause)
    }
  }

  #unreachable(id: OperationId, reason: string, cause?: unknown): ApiUnreachable {
    return new ApiUnreachable(`Cannot call ${OPERATIONS[id]}: ${reason}: ${this.#baseUrl}`, { cause })
  }
}

function queryOf(query: object): string {
  const fields = new URLSearchParams()
  for (const [name, value] of Object.entries(query)) if (value !== undefined) fields.set(name, String(value))
  return fields.size === 0 ? '' : `?${fields}`
}

async function jsonOf(body: ByteStream) {
  return JSON.parse(await textOf(body))
}

async function textOf(body: ByteStream): Promise<string> {
  const decoder = new TextDecoder()
  let text = ''
  for await (const bytes of body) text += decoder.decode(bytes, { stream: true })
  return text + decoder.decode()
}

function isProblem(answer: unknown): answer is Problem {
  return typeof answer === 'object' && answer !== null && 'code' in answer && 'detail' in answer
}

/** Our service writes whole seconds. */
function retryAfterMs({ headers }: TransportAnswer): number | undefined {
  const seconds = Number(headers['retry-after'])
  return Number.isFinite(seconds) ? seconds * 1_000 : undefined
}

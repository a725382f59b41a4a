import type { ProblemCode } from '../../src/domain/problems.ts'

/** One bad input on a port that speaks HTTP, and its answer. */
export interface HttpRow {
  /** Number in the table of bad inputs. */
  readonly n: number
  readonly name: string
  /** As ISO 8859-1. `{HOST}` stands for the address of the port, `{PORT}` for its number, `{KEY}` for a good key. */
  readonly bytes: string
  readonly status: number
  readonly code?: ProblemCode
  /** Headers of the answer, by name in lower case. */
  readonly headers?: Readonly<Record<string, RegExp>>
  readonly detail?: string
  /** The connection is ended behind the answer. */
  readonly closes?: true
  /** Codes of `errors`, each once. */
  readonly faults?: readonly ProblemCode[]
  /** What workers are asked for, if anything. */
  readonly asks?: readonly string[] | 'whatever'
  /** How many redirects the answer tells of. */
  readonly redirects?: number
  /** Why the answer is another one than the table has. */
  readonly because?: string
}

/** One bad input on a port that speaks SOCKS, and all that comes back before the connection ends. */
export interface SocksRow {
  readonly n: number
  readonly name: string
  readonly bytes: string
  readonly answer: string
  readonly asks?: readonly string[]
  readonly because?: string
}

type More = Partial<Omit<HttpRow, 'n' | 'name' | 'bytes' | 'status' | 'code'>>

/** Of every request to the API. */
export const AUTHORIZATION = 'Authorization: Bearer {KEY}'

export function request(method: string, path: string, headers: readonly string[], body = ''): string {
  return [`${method} ${path} HTTP/1.1`, 'Host: {HOST}', AUTHORIZATION, ...headers, '', body].join('\r\n')
}

const JSON_TYPE = 'Content-Type: application/json'

/** `body`: JSON text, or what becomes it. */
export function posted(body: unknown, headers: readonly string[] = [JSON_TYPE], path = '/api/v1/fetch'): string {
  const text = Buffer.from(typeof body === 'string' ? body : JSON.stringify(body)).toString('latin1')
  return request('POST', path, [...headers, `Content-Length: ${text.length}`], text)
}

/** A fetch with this body. */
export function fetching(n: number, body: unknown, status: number, code?: ProblemCode, more: More = {}): HttpRow {
  const text = typeof body === 'string' ? body : JSON.stringify(body)
  return { n, name: `F ${text.slice(0, 80)}`, bytes: posted(body), status, ...(code && { code }), ...more }
}

/** Each of these URLs. */
export function urls(n: number, all: readonly string[], status: number, code: ProblemCode, more: More = {}): HttpRow[] {
  return all.map((url) => fetching(n, { url }, status, code, more))
}

/** With a good URL and these fields. */
export function fields(n: number, all: readonly object[], code: ProblemCode, more: More = {}): HttpRow[] {
  return all.map((each) => fetching(n, { url: 'http://ok.test/', ...each }, 400, code, more))
}

import { PROBLEMS, type ProblemCode } from '../../src/domain/problems.ts'

/** What came back for one request. */
export interface Answer {
  readonly status: number
  /** Of a problem. */
  readonly code: ProblemCode | undefined
  /** Behind it the connection ends. */
  readonly isLast: boolean
}

const STATUS_LINE = /^HTTP\/1\.[01] ([1-9]\d\d) [\t\x20-\x7e\x80-\xff]*$/
const HEADER = /^[!#$%&'*+.^_`|~0-9A-Za-z-]+: ?[\t\x20-\x7e\x80-\xff]*$/

/** Reads answers of HTTP as they come, and is strict: what is not well-formed throws an Error that says why. */
export class AnswerReader {
  #text = ''

  /** ISO 8859-1. */
  push(text: string): void {
    this.#text += text
  }

  get isEmpty(): boolean {
    return this.#text === ''
  }

  /** The next answer that is no interim one, if all of it is there. `isHead`: it has no body. `isEnded`: nothing more comes. */
  next(isHead: boolean, isEnded = false): Answer | undefined {
    const end = this.#text.indexOf('\r\n\r\n')
    if (end < 0) return undefined
    const [statusLine = '', ...lines] = this.#text.slice(0, end).split('\r\n')
    const [, digits] = STATUS_LINE.exec(statusLine) ?? []
    if (digits === undefined) throw new Error(`The status line is not well-formed: ${JSON.stringify(statusLine)}`)
    const bad = lines.find((line) => !HEADER.test(line))
    if (bad !== undefined) throw new Error(`A header is not well-formed: ${JSON.stringify(bad)}`)
    const headerOf = (name: string) =>
      lines
        .find((line) => line.toLowerCase().startsWith(`${name}:`))
        ?.slice(name.length + 1)
        .trim()
    const status = Number(digits)
    if (status < 200) {
      this.#text = this.#text.slice(end + 4)
      return this.next(isHead, isEnded)
    }
    const isBare = isHead || status === 204 || status === 304
    const body = isBare ? { text: '', end: end + 4 } : this.#body(end + 4, headerOf, isEnded)
    if (body === undefined) return undefined
    this.#text = this.#text.slice(body.end)
    const isLast = headerOf('connection')?.toLowerCase() === 'close' || body.isLast === true
    const isProblem = headerOf('content-type')?.startsWith('application/problem+json') ?? false
    return { status, code: isProblem && !isBare ? codeOf(body.text, status) : undefined, isLast }
  }

  #body(start: number, headerOf: (name: string) => string | undefined, isEnded: boolean) {
    const length = headerOf('content-length')
    const coding = headerOf('transfer-encoding')
    if (length !== undefined && coding !== undefined) throw new Error('The answer has a length and a coding')
    if (coding !== undefined) return this.#chunks(start)
    if (length === undefined)
      return isEnded ? { text: this.#text.slice(start), end: this.#text.length, isLast: true } : undefined
    if (!/^\d+$/.test(length)) throw new Error(`The length is not well-formed: ${length}`)
    const end = start + Number(length)
    return this.#text.length < end ? undefined : { text: this.#text.slice(start, end), end }
  }

  #chunks(start: number): { readonly text: string; readonly end: number; readonly isLast?: boolean } | undefined {
    let text = ''
    for (let at = start; ; ) {
      const lineEnd = this.#text.indexOf('\r\n', at)
      if (lineEnd < 0) return undefined
      const size = this.#text.slice(at, lineEnd)
      if (!/^[0-9a-f]+$/i.test(size)) throw new Error(`A chunk is not well-formed: ${JSON.stringify(size)}`)
      const length = Number.parseInt(size, 16)
      const next = lineEnd + 2 + length
      if (length === 0) {
        const end = this.#text.indexOf('\r\n', lineEnd + 2)
        if (end === lineEnd + 2) return { text, end: end + 2 }
        const trailersEnd = this.#text.indexOf('\r\n\r\n', lineEnd + 2)
        return trailersEnd < 0 ? undefined : { text, end: trailersEnd + 4 }
      }
      if (this.#text.length < next + 2) return undefined
      text += this.#text.slice(lineEnd + 2, next)
      at = next + 2
    }
  }
}

function codeOf(body: string, status: number): ProblemCode {
  const problem = JSON.parse(Buffer.from(body, 'latin1').toString()) as {
    code: ProblemCode
    status: number
    detail: string
  }
  const known = PROBLEMS[problem.code]
  if (known === undefined) throw new Error(`The problem is not known: ${problem.code}`)
  if (problem.status !== status || known.status !== status)
    throw new Error(`${problem.code} came with status ${status}`)
  if (!/^[\x20-\x7e]{1,600}$/.test(problem.detail)) throw new Error(`The detail is not printable: ${problem.detail}`)
  return problem.code
}

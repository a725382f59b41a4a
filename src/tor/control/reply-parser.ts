import { ProtocolError } from './errors.ts'
import type { ReplyLine } from './reply.ts'

/** A reply to a command, or an event (code 6yz), complete. */
export interface Message {
  readonly type: 'reply' | 'event'
  /** At least one. */
  readonly lines: readonly ReplyLine[]
}

export interface ParserLimits {
  /** Of one line. */
  readonly maxLineBytes: number
  /** Of one reply or event. `GETINFO ns/all` takes 4 to 5 MB on the public network. */
  readonly maxMessageBytes: number
}

export const DEFAULT_LIMITS: ParserLimits = { maxLineBytes: 2 ** 20, maxMessageBytes: 2 ** 24 }

const LF = 0x0a

/**
 * Turns Tor's bytes, in whatever pieces they arrive, into messages (control-spec 2.3):
 *
 *     250-key=value CRLF          more lines follow
 *     250+key= CRLF … CRLF . CRLF a data block, then more lines
 *     250 OK CRLF                 the last line
 *
 * Total: any bytes give messages or a ProtocolError, and never more than the limits is kept.
 */
export class ReplyParser {
  readonly #limits: ParserLimits
  /** The start of a line whose end has not arrived. */
  #partial = ''
  /** The message so far. */
  #lines: ReplyLine[] = []
  #bytes = 0
  /** The open data block, and the line that it belongs to. */
  #block: { readonly code: number; readonly text: string; readonly data: string[] } | undefined
  #fault: ProtocolError | undefined

  constructor(limits: ParserLimits = DEFAULT_LIMITS) {
    this.#limits = limits
  }

  /**
   * Yields the messages that `chunk` completes; drain it before the next one. Throws ProtocolError after the last good
   * message, and at every later call.
   */
  *push(chunk: Buffer): Generator<Message, void, undefined> {
    if (this.#fault) throw this.#fault
    let start = 0
    for (;;) {
      const end = chunk.indexOf(LF, start)
      const piece = chunk.toString('latin1', start, end === -1 ? chunk.length : end)
      if (this.#partial.length + piece.length > this.#limits.maxLineBytes) {
        this.#fail(`a line is longer than ${this.#limits.maxLineBytes} bytes`)
      }
      this.#partial += piece
      if (end === -1) return

      const message = this.#endLine()
      if (message) yield message
      start = end + 1
    }
  }

  #endLine(): Message | undefined {
    const line = this.#partial.slice(0, -1)
    // Tor must not end a line with LF alone (control-spec 2.1), so this is not Tor.
    if (!this.#partial.endsWith('\r')) this.#fail('a line does not end with CRLF')
    this.#partial = ''

    this.#bytes += line.length + 2
    if (this.#bytes > this.#limits.maxMessageBytes) {
      this.#fail(`a message is longer than ${this.#limits.maxMessageBytes} bytes`)
    }
    return this.#block ? this.#addData(line, this.#block) : this.#addLine(line)
  }

  #addData(line: string, block: { readonly data: string[] } & ReplyLine): undefined {
    if (line === '.') {
      this.#lines.push(block)
      this.#block = undefined
    } else {
      block.data.push(line.startsWith('.') ? line.slice(1) : line)
    }
  }

  #addLine(line: string): Message | undefined {
    if (!/^\d{3}[-+ ]/.test(line)) {
      this.#fail(`a line does not start with a status code but with ${JSON.stringify(line.slice(0, 4))}`)
    }
    const code = Number(line.slice(0, 3))
    const text = line.slice(4)
    // Events come between replies, never inside one (control-spec 4.1).
    const [first] = this.#lines
    if (first && isEventCode(first.code) !== isEventCode(code)) this.#fail('a reply and an event are mixed')

    if (line[3] === '+') {
      this.#block = { code, text, data: [] }
      return undefined
    }
    this.#lines.push({ code, text, data: undefined })
    return line[3] === '-' ? undefined : this.#endMessage(code)
  }

  #endMessage(code: number): Message {
    const lines = this.#lines
    this.#lines = []
    this.#bytes = 0
    return { type: isEventCode(code) ? 'event' : 'reply', lines }
  }

  #fail(why: string): never {
    this.#fault = new ProtocolError(`Cannot read from the control connection: ${why}`)
    this.#partial = ''
    this.#lines = []
    this.#block = undefined
    throw this.#fault
  }
}

function isEventCode(code: number): boolean {
  return code >= 600 && code < 700
}

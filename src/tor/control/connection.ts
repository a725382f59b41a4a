import { connect, Socket } from 'node:net'
import type { Duplex } from 'node:stream'
import { abortable, onAbort } from '../../lib/abort.ts'
import { Listeners } from '../../lib/listeners.ts'
import { type Logger, silentLogger } from '../../lib/log.ts'
import { ControlClosedError, ControlError, ProtocolError } from './errors.ts'
import { type ControlEvent, parseEvent } from './events/event.ts'
import { requireLine } from './quote.ts'
import type { CommandSender, Reply } from './reply.ts'
import { DEFAULT_LIMITS, type ParserLimits, ReplyParser } from './reply-parser.ts'

export interface ControlConnectionOptions {
  readonly limits?: ParserLimits
  /** Commands that may wait for their replies; a Tor that hangs must not gather them without end. */
  readonly maxPending?: number
  /** Told of listeners that throw. */
  readonly logger?: Logger
}

interface Waiter {
  reply(reply: Reply): void
  reject(reason: ControlError): void
}

/**
 * A control connection: commands go out at once, one behind the other, and Tor answers in their order, with events
 * between the answers. It ends when the stream ends, when the peer breaks the protocol, or by dispose; then every
 * command that waits, and every later one, rejects with the reason.
 */
export class ControlConnection implements CommandSender, Disposable, AsyncDisposable {
  readonly #stream: Duplex
  readonly #parser: ReplyParser
  readonly #maxPending: number
  /** In the order of their commands. Who gave up waiting stays in line, so that replies keep matching. */
  readonly #waiters: Waiter[] = []
  readonly #events: Listeners<ControlEvent>
  readonly #closings: Listeners<ControlError>
  readonly #streamClosed = Promise.withResolvers<void>()
  #closedBy: ControlError | undefined

  /** Opens the unix socket at `path`. Rejects with ControlClosedError, or with the signal's reason when aborted. */
  static async open(path: string, options: ControlConnectionOptions, signal: AbortSignal): Promise<ControlConnection> {
    signal.throwIfAborted()
    const socket = connect({ path })
    const connected = Promise.withResolvers<void>()
    socket.once('connect', connected.resolve)
    socket.once('error', (cause) => {
      connected.reject(new ControlClosedError(`Cannot connect to control socket: ${cause.message}`, { cause }))
    })
    using _ = onAbort(signal, connected.reject)
    try {
      await connected.promise
    } catch (error) {
      socket.destroy()
      throw error
    }
    return new ControlConnection(socket, options)
  }

  /** Takes over `stream`, which is connected already: a socket, or a channel of an SSH connection. */
  constructor(stream: Duplex, options: ControlConnectionOptions = {}) {
    const logger = options.logger ?? silentLogger
    const onListenerError = (err: unknown) => logger.error({ err }, 'A listener of a control connection failed')
    this.#events = new Listeners(onListenerError)
    this.#closings = new Listeners(onListenerError)
    this.#parser = new ReplyParser(options.limits ?? DEFAULT_LIMITS)
    this.#maxPending = options.maxPending ?? 10_000
    this.#stream = stream
    // Over TCP, small commands would wait for the delayed acknowledgement of the one before: 40 ms each.
    if (stream instanceof Socket) stream.setNoDelay(true)
    stream.on('data', (chunk: Buffer) => this.#receive(chunk))
    stream.on('end', () => this.#close(new ControlClosedError('Tor closed the control connection')))
    stream.on('error', (cause) => {
      this.#close(new ControlClosedError(`The control connection failed: ${cause.message}`, { cause }))
    })
    const onClosed = () => {
      this.#close(new ControlClosedError('The control connection was closed'))
      this.#streamClosed.resolve()
    }
    stream.on('close', onClosed)
    if (stream.closed) onClosed()
  }

  /** Why the connection ended; undefined while it is open. */
  get closedBy(): ControlError | undefined {
    return this.#closedBy
  }

  /**
   * Sends one command line (bytes, one character each, without CRLF) and gives its reply, whatever the code. Rejects
   * with TypeError if the line would end early, or with the signal's reason when aborted: Tor may still carry it out.
   * `onReply` is called with the reply before any event that Tor sent after it.
   */
  async send(line: string, signal: AbortSignal, onReply?: (reply: Reply) => void): Promise<Reply> {
    requireLine(line, 'Cannot send a control command')
    signal.throwIfAborted()
    if (this.#closedBy) throw this.#closedBy
    if (this.#waiters.length >= this.#maxPending) {
      throw new ControlError(`Cannot send a control command: ${this.#waiters.length} others wait for their replies`)
    }
    const reply = Promise.withResolvers<Reply>()
    this.#waiters.push({
      reply: (message) => {
        try {
          onReply?.(message)
          reply.resolve(message)
        } catch (error) {
          reply.reject(error)
        }
      },
      reject: reply.reject,
    })
    this.#stream.write(`${line}\r\n`, 'latin1')
    return await abortable(reply.promise, signal)
  }

  /** Calls `listener` with each event, in Tor's order. */
  onEvent(listener: (event: ControlEvent) => void): Disposable {
    return this.#events.add(listener)
  }

  /** Calls `listener` once, with the reason, when the connection ends; at once if it has ended. */
  onClose(listener: (reason: ControlError) => void): Disposable {
    if (this.#closedBy === undefined) return this.#closings.add(listener)
    listener(this.#closedBy)
    return { [Symbol.dispose]() {} }
  }

  [Symbol.dispose](): void {
    this.#close(new ControlClosedError('The control connection was closed by us'))
  }

  /** Resolves once the stream is closed. */
  async [Symbol.asyncDispose](): Promise<void> {
    this[Symbol.dispose]()
    await this.#streamClosed.promise
  }

  #receive(chunk: Buffer): void {
    try {
      for (const message of this.#parser.push(chunk)) {
        if (this.#closedBy) return
        if (message.type === 'event') {
          this.#events.notify(parseEvent(message.lines))
          continue
        }
        const waiter = this.#waiters.shift()
        if (waiter === undefined) throw new ProtocolError('Tor sent a reply to no command')
        waiter.reply({ lines: message.lines })
      }
    } catch (error) {
      if (!(error instanceof ControlError)) throw error
      this.#close(error)
    }
  }

  #close(reason: ControlError): void {
    if (this.#closedBy) return
    this.#closedBy = reason
    this.#stream.destroy()
    for (const waiter of this.#waiters.splice(0)) waiter.reject(reason)
    this.#closings.notify(reason)
  }
}

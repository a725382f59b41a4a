import { once } from 'node:events'
import type { Socket } from 'node:net'
import type { Duplex } from 'node:stream'
import type { Client, ClientChannel } from 'ssh2'
import { abortable, deadline } from '../lib/abort.ts'
import type { Clock } from '../lib/clock.ts'
import { printable } from '../lib/printable.ts'
import { within } from '../lib/within.ts'
import { closeChannel } from './channels.ts'
import type { SshCommand } from './command.ts'
import { showDestination } from './destination.ts'
import { type Dialled, dialSsh, type SshDial } from './dial.ts'
import { type Reason, sshError } from './errors.ts'
import { type CommandResult, type ExecuteOptions, type Execution, execute } from './exec.ts'
import { ForwardStream } from './forward-stream.ts'
import { Turns } from './turns.ts'

/** How long a command may take to end by SIGTERM, and then by SIGKILL, with the way there and back. */
const TERM_WITHIN_MS = 1_000
const KILL_WITHIN_MS = 2_000
/** Opening a forward is one connect on the box itself. */
const FORWARD_WITHIN_MS = 10_000

export interface RunOptions extends ExecuteOptions {
  readonly limitMs: number
}

/** The reason is that the connection had ended before a command's turn came: nothing of it was sent. */
export class NotSent extends Error {}

/** One authenticated connection to a box, from `open` to its end. */
export class SshConnection {
  /** `root@192.0.2.11:22`, for messages. */
  readonly #box: string
  readonly #client: Client
  readonly #socket: Socket
  readonly #clock: Clock
  readonly #turns = new Turns()
  readonly #streams = new Set<Duplex>()
  readonly #onEnd: (reason: Reason) => void
  #endedBy: Reason | undefined

  /** Rejects as `dialSsh` does. `onEnd` is called once, with the reason, when the connection has ended. */
  static async open(dial: SshDial, onEnd: (reason: Reason) => void, signal: AbortSignal): Promise<SshConnection> {
    return new SshConnection(await dialSsh(dial, signal), dial, onEnd)
  }

  private constructor(
    { client, socket }: Dialled,
    { clock, destination, keepalive }: SshDial,
    onEnd: (reason: Reason) => void,
  ) {
    this.#box = showDestination(destination)
    this.#client = client
    this.#socket = socket
    this.#clock = clock
    this.#onEnd = onEnd
    const silentMs = keepalive.intervalMs * (keepalive.count + 1)
    client.on('error', (error: Error & { level?: string }) => {
      if (error.level === 'client-timeout')
        this.end({ fault: 'timed-out', why: `the box has not answered for ${silentMs} ms`, cause: error })
      else this.end({ fault: 'ended', why: `the connection failed: ${printable(error.message, 200)}`, cause: error })
    })
    const closed = () => this.end({ fault: 'ended', why: 'the box closed the connection' })
    client.on('end', closed)
    client.on('close', closed)
    if (socket.destroyed) closed()
  }

  get isOpen(): boolean {
    return this.#endedBy === undefined
  }

  /**
   * Runs `command` when those before it have ended: dropbear breaks when short commands run side by side. `limitMs` is from the
   * start of the command. Rejects with `NotSent` when the connection ends before, else with `SshError` or the signal's reason.
   */
  async run(command: SshCommand, options: RunOptions, signal: AbortSignal): Promise<CommandResult> {
    const turn = await this.#turns.take(signal)
    const attempt = `run "${printable(command.trim(), 60)}" on ${this.#box}`
    const { limitMs } = options
    using limit = deadline(this.#clock, limitMs, signal, () =>
      sshError(attempt, { fault: 'timed-out', why: `it did not end within ${limitMs} ms, so it was told to` }),
    )
    if (limit.signal.aborted || !this.isOpen) {
      turn[Symbol.dispose]()
      limit.signal.throwIfAborted()
      throw new NotSent()
    }
    const execution = execute(this.#client, command, options, limit.signal)
    void this.#handOver(turn, execution)
    const outcome = await execution.outcome
    if ('result' in outcome) return outcome.result
    throw sshError(attempt, this.#endedBy ?? outcome.failure)
  }

  /** Opens a stream to `port` of the box's 127.0.0.1. Rejects with `SshError`, or with the signal's reason. */
  async forward(port: number, signal: AbortSignal): Promise<Duplex> {
    const attempt = `reach 127.0.0.1:${port} of ${this.#box}`
    using limit = deadline(this.#clock, FORWARD_WITHIN_MS, signal, () =>
      sshError(attempt, { fault: 'timed-out', why: `the box did not answer within ${FORWARD_WITHIN_MS} ms` }),
    )
    limit.signal.throwIfAborted()
    const opened = Promise.withResolvers<ClientChannel>()
    try {
      this.#client.forwardOut('127.0.0.1', 0, '127.0.0.1', port, (error, channel) => {
        if (error) opened.reject(sshError(attempt, this.#endedBy ?? reasonOfNoForward(error)))
        // Too late: nobody waits for it any more.
        else if (limit.signal.aborted) closeChannel(channel)
        else opened.resolve(channel)
      })
    } catch (cause) {
      throw sshError(attempt, this.#endedBy ?? { fault: 'ended', why: 'the connection has ended', cause })
    }
    const stream = new ForwardStream(await abortable(opened.promise, limit.signal))
    if (this.#endedBy) throw sshError(attempt, this.#endedBy)
    this.#streams.add(stream)
    stream.once('close', () => this.#streams.delete(stream))
    return stream
  }

  /** Ends it now, with all that runs on it. */
  end(reason: Reason): void {
    if (this.#endedBy) return
    this.#endedBy = reason
    this.#turns.close(new NotSent())
    for (const stream of this.#streams) stream.destroy(sshError(`go on with a stream through ${this.#box}`, reason))
    this.#socket.destroy()
    this.#onEnd(reason)
  }

  /** Takes leave of the box, then ends. */
  async close(reason: Reason): Promise<void> {
    if (!this.isOpen) return
    const closed = once(this.#socket, 'close')
    this.#client.end()
    this.end(reason)
    await closed
  }

  /** The next command has to wait until this one is off the connection, which is good for nothing if that does not come. */
  async #handOver(turn: Disposable, { outcome, isGone, kill }: Execution): Promise<void> {
    await outcome.catch(() => {})
    const gone = isGone.then(() => true)
    if (await within(this.#clock, TERM_WITHIN_MS, gone)) return turn[Symbol.dispose]()
    kill()
    if (await within(this.#clock, KILL_WITHIN_MS, gone)) return turn[Symbol.dispose]()
    this.end({ fault: 'ended', why: 'a command that was told to end did not' })
  }
}

/** SSH_OPEN_ADMINISTRATIVELY_PROHIBITED and SSH_OPEN_CONNECT_FAILED, RFC 4254. */
const PROHIBITED = 1
const CONNECT_FAILED = 2

function reasonOfNoForward(error: Error & { reason?: unknown }): Reason {
  switch (error.reason) {
    case PROHIBITED:
      return {
        fault: 'unreachable',
        why: 'its dropbear does not allow forwards. Right would be one without -j, and a key without no-port-forwarding',
        cause: error,
      }
    case CONNECT_FAILED:
      return { fault: 'unreachable', why: 'nothing listens there', cause: error }
    default:
      return { fault: 'ended', why: printable(error.message, 200), cause: error }
  }
}

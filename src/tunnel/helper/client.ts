import { connect, type Socket } from 'node:net'
import { deadline } from '../../lib/abort.ts'
import type { Clock } from '../../lib/clock.ts'
import { messageOf, TunnelError } from '../errors.ts'
import type { TunnelStatus, Tunnels } from '../tunnels.ts'
import { formatRequest, MAX_ANSWER, parseAnswer, type TunnelVerb } from './protocol.ts'
import { readLine } from './read-line.ts'

export interface TunnelHelperClientOptions {
  readonly socketPath: string
  readonly clock: Clock
}

/** How long the helper may take: a reconnection waits for the box, and any of them for its turn. */
const LIMIT_MS: Record<TunnelVerb, number> = { up: 40_000, down: 40_000, reconnect: 40_000, status: 15_000 }
const KNOCK_WITHIN_MS = 1_000

/** The tunnels, by way of the process that may change the network (`cbtor tunnel serve`). Holds no connection between calls. */
export class TunnelHelperClient implements Tunnels {
  readonly #options: TunnelHelperClientOptions

  constructor(options: TunnelHelperClientOptions) {
    this.#options = options
  }

  async up(n: number, signal: AbortSignal): Promise<void> {
    await this.#call('up', n, signal)
  }

  async down(n: number, signal: AbortSignal): Promise<void> {
    await this.#call('down', n, signal)
  }

  async reconnect(n: number, signal: AbortSignal): Promise<void> {
    await this.#call('reconnect', n, signal)
  }

  async status(n: number, signal: AbortSignal): Promise<TunnelStatus> {
    const status = await this.#call('status', n, signal)
    if (status === undefined) throw new TunnelError('no-helper', `The tunnel helper told no status of tunnel ${n}`)
    return status
  }

  async #call(verb: TunnelVerb, n: number, signal: AbortSignal): Promise<TunnelStatus | undefined> {
    const { clock, socketPath } = this.#options
    const attempt = verb === 'status' ? `look at tunnel ${n}` : `do "${verb}" for tunnel ${n}`
    const limitMs = LIMIT_MS[verb]
    const late = () =>
      new TunnelError('failed', `Cannot ${attempt}: the tunnel helper did not answer within ${limitMs} ms`)
    using within = deadline(clock, limitMs, signal, late)
    const socket = await this.#open(attempt, within.signal)
    let line: string
    try {
      socket.write(formatRequest({ verb, n }))
      line = await readLine(socket, MAX_ANSWER, within.signal)
    } catch (error) {
      if (within.signal.aborted) throw within.signal.reason
      throw noHelper(attempt, `the tunnel helper at ${socketPath} has ended: ${messageOf(error)}`, error)
    } finally {
      socket.destroy()
    }
    return parseAnswer(line)
  }

  async #open(attempt: string, signal: AbortSignal): Promise<Socket> {
    const { socketPath } = this.#options
    try {
      return await open(socketPath, signal)
    } catch (error) {
      if (signal.aborted) throw signal.reason
      const { code } = error as NodeJS.ErrnoException
      if (code === 'EACCES' || code === 'EPERM') {
        const mend = 'Run this as the user who runs the helper, or start that with --group'
        throw noHelper(attempt, `this user may not use the tunnel helper at ${socketPath}. ${mend}`, error)
      }
      const mend = 'Start it as root with: cbtor tunnel serve'
      throw noHelper(attempt, `no tunnel helper answers at ${socketPath} (${code}). ${mend}`, error)
    }
  }
}

/** Whether a helper is there. Rejects with the signal's reason. */
export async function isListening(socketPath: string, clock: Clock, signal: AbortSignal): Promise<boolean> {
  using within = deadline(clock, KNOCK_WITHIN_MS, signal, () => new Error('It did not answer'))
  try {
    const socket = await open(socketPath, within.signal)
    socket.destroy()
    return true
  } catch {
    signal.throwIfAborted()
    return false
  }
}

/** What is opened here is a socket of this machine; see `protocol.ts`. */
async function open(path: string, signal: AbortSignal): Promise<Socket> {
  const socket = connect({ path })
  const opened = Promise.withResolvers<void>()
  socket.once('connect', opened.resolve).once('error', opened.reject)
  const onAbort = () => opened.reject(signal.reason)
  signal.addEventListener('abort', onAbort, { once: true })
  try {
    signal.throwIfAborted()
    await opened.promise
    socket.on('error', () => {})
    return socket
  } catch (error) {
    socket.on('error', () => {}).destroy()
    throw error
  } finally {
    signal.removeEventListener('abort', onAbort)
  }
}

function noHelper(attempt: string, why: string, cause: unknown): TunnelError {
  return new TunnelError('no-helper', `Cannot ${attempt}: ${why}`, { cause })
}

import { type ChildProcess, spawn } from 'node:child_process'
import { extname } from 'node:path'
import { createInterface } from 'node:readline'
import { fileURLToPath } from 'node:url'
import { deadline, onAbort } from '../../lib/abort.ts'
import type { Clock } from '../../lib/clock.ts'
import type { LogFormat, Logger, LogLevel } from '../../lib/log.ts'
import { SharedRun } from '../../lib/shared-run.ts'
import { within } from '../../lib/within.ts'
import { TunnelError } from '../errors.ts'
import type { TunnelStatus, Tunnels } from '../tunnels.ts'
import { isListening, TunnelHelperClient } from './client.ts'
import { parseAnswer } from './protocol.ts'

export interface SpawnedTunnelsOptions {
  /** Where the child serves, unless somebody does so already; best in a directory of our own. */
  readonly socketPath: string
  /** The state directory that has the box files in `boxes`. */
  readonly state: string
  /** The least severity that the child logs; `info` unless told. */
  readonly log?: LogLevel
  /** `auto` when left out. */
  readonly logFormat?: LogFormat
  /** Leaves the tunnels up at the end. */
  readonly keep?: boolean
  /** What stands before the command of the child, such as `nsenter …`. */
  readonly prefix?: readonly string[]
  readonly clock: Clock
  readonly logger: Logger
}

const START_WITHIN_MS = 15_000
/** It takes the tunnels down first. */
const END_WITHIN_MS = 12_000

/**
 * A tunnel helper of our own, for a service that runs as root and finds none. It hangs on a pipe: when this process is
 * gone, however that came about, it takes the tunnels down and ends. When it dies itself, the next call starts it again;
 * until then the kill switch stands, as all of a tunnel does.
 */
export class SpawnedTunnels implements Tunnels, AsyncDisposable {
  readonly #options: SpawnedTunnelsOptions
  readonly #client: TunnelHelperClient
  readonly #starts = new SharedRun<void>((signal) => this.#start(signal))
  #child: ChildProcess | undefined
  #isEnded = false

  /** Rejects with a `TunnelError` when it cannot serve, and with the signal's reason. */
  static async start(options: SpawnedTunnelsOptions, signal: AbortSignal): Promise<SpawnedTunnels> {
    const tunnels = new SpawnedTunnels(options)
    await tunnels.#running(signal)
    return tunnels
  }

  private constructor(options: SpawnedTunnelsOptions) {
    this.#options = options
    this.#client = new TunnelHelperClient(options)
  }

  async up(n: number, signal: AbortSignal): Promise<void> {
    await (await this.#running(signal)).up(n, signal)
  }

  async down(n: number, signal: AbortSignal): Promise<void> {
    await (await this.#running(signal)).down(n, signal)
  }

  async reconnect(n: number, signal: AbortSignal): Promise<void> {
    await (await this.#running(signal)).reconnect(n, signal)
  }

  async status(n: number, signal: AbortSignal): Promise<TunnelStatus> {
    return await (await this.#running(signal)).status(n, signal)
  }

  /** Of the helper; undefined when it does not run. */
  get pid(): number | undefined {
    return this.#child?.pid
  }

  async [Symbol.asyncDispose](): Promise<void> {
    this.#isEnded = true
    await this.#starts.cancel(ended())
    const child = this.#child
    if (child !== undefined) await end(child, this.#options.clock)
  }

  async #running(signal: AbortSignal): Promise<TunnelHelperClient> {
    if (this.#isEnded) throw ended()
    const { socketPath, clock } = this.#options
    // Somebody else's may serve there, and may go; then it is our turn.
    if (this.#child === undefined && !(await isListening(socketPath, clock, signal))) await this.#starts.join(signal)
    return this.#client
  }

  async #start(signal: AbortSignal): Promise<void> {
    const {
      clock,
      logger,
      socketPath,
      state,
      log = 'info',
      logFormat = 'auto',
      keep = false,
      prefix = [],
    } = this.#options
    // Source or compiled, the script has the extension that this file has.
    const script = fileURLToPath(new URL(`./main${extname(import.meta.url)}`, import.meta.url))
    const flags = [
      '--socket',
      socketPath,
      '--state',
      state,
      '--log',
      log,
      '--log-format',
      logFormat,
      ...(keep ? ['--keep'] : []),
    ]
    const [program = '', ...args] = [...prefix, process.execPath, script, ...flags]
    // Its own process group: Ctrl-C is for us, who end it when nobody needs it any more. What it logs goes where ours does.
    const child = spawn(program, args, { stdio: ['pipe', 'pipe', 'inherit'], detached: true })
    // A write to a process that has ended is answered by its end.
    child.stdin?.on('error', () => {})
    child.on('exit', (code, by) => {
      if (this.#child !== child) return
      this.#child = undefined
      if (!this.#isEnded) logger.error({ code, by }, 'The tunnel helper has ended; the next call starts it again')
    })
    try {
      await firstAnswer(child, clock, signal)
    } catch (error) {
      await end(child, clock)
      throw error
    }
    this.#child = child
  }
}

async function firstAnswer(child: ChildProcess, clock: Clock, signal: AbortSignal): Promise<void> {
  const late = () =>
    new TunnelError('failed', `Cannot start the tunnel helper: it did not serve within ${START_WITHIN_MS} ms`)
  using limit = deadline(clock, START_WITHIN_MS, signal, late)
  const answer = Promise.withResolvers<string>()
  const fail = (why: string) => answer.reject(new TunnelError('failed', `Cannot start the tunnel helper: ${why}`))
  child.on('error', ({ message }) => fail(message))
  if (child.stdout)
    createInterface(child.stdout)
      .on('line', answer.resolve)
      .on('close', () => fail('it ended at once'))
  using _ = onAbort(limit.signal, answer.reject)
  parseAnswer(await answer.promise)
}

async function end(child: ChildProcess, clock: Clock): Promise<void> {
  if (child.pid === undefined || child.exitCode !== null || child.signalCode !== null) return
  const exited = new Promise<true>((resolve) => child.once('exit', () => resolve(true)))
  child.stdin?.end()
  if (await within(clock, END_WITHIN_MS, exited)) return
  child.kill('SIGKILL')
  await exited
}

function ended(): TunnelError {
  return new TunnelError('no-helper', 'Cannot work on a tunnel: the tunnel helper was ended')
}

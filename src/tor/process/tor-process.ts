import { chmod, mkdir, writeFile } from 'node:fs/promises'
import { abortable } from '../../lib/abort.ts'
import type { Clock } from '../../lib/clock.ts'
import { Listeners } from '../../lib/listeners.ts'
import type { Logger } from '../../lib/log.ts'
import { SharedRun } from '../../lib/shared-run.ts'
import type { TorDirectory } from '../tor-directory.ts'
import { TorProcessError } from './errors.ts'
import { claim, endPredecessor, unclaim } from './predecessor.ts'
import { TorChild, type TorExit } from './tor-child.ts'
import { type Bootstrap, NOT_BOOTSTRAPPED, parseBootstrap, type TorLogLine } from './tor-log.ts'

const STOP_GRACE_MS = 5_000

export interface TorProcessOptions {
  /** What stands before tor's own arguments: `['tor']`, or say `['nsenter', '--net=/run/netns/lab', 'tor']`. */
  readonly command?: readonly string[]
  /** Its text, with `Log notice stdout` in it; written to `directory.torrc` at each start. */
  readonly torrc: string
  /** Made with mode 0700 if it is not there. Of one process at a time. */
  readonly directory: TorDirectory
  readonly logger: Logger
  readonly clock: Clock
  /** How long tor may take to end before it is killed. */
  readonly stopGraceMs?: number
}

export interface TorProcessObservation {
  /** `exited` says that it ended without having been asked to, or never came up. */
  readonly state: 'stopped' | 'starting' | 'running' | 'exited'
  readonly pid: number | undefined
  readonly bootstrap: Bootstrap
  readonly version: string | undefined
  /** When it was up, in milliseconds since the epoch. */
  readonly startedAt: number | undefined
  /** Why it is not running, when it should be. */
  readonly problem: string | undefined
  /** The last different warnings of this run, or of the last one. */
  readonly warnings: readonly string[]
  /** The last lines that it logged. */
  readonly lines: readonly TorLogLine[]
}

/**
 * A tor process of ours: started and ended as often as one likes, in one directory, which keeps its guards. Nobody else ends
 * up with it: not when a start fails or is aborted, and not when this program ends.
 */
export class TorProcess implements AsyncDisposable {
  readonly #options: Required<TorProcessOptions>
  readonly #starts = new SharedRun<void>((signal) => this.#launch(signal))
  readonly #progressListeners: Listeners<Bootstrap>
  readonly #exitListeners: Listeners<TorExit>
  /** The run that is going on, or the last one. */
  #child: TorChild | undefined
  #gone: Promise<TorExit> | undefined
  #isAlive = false
  #startedAt: number | undefined
  #problem: string | undefined

  constructor(options: TorProcessOptions) {
    this.#options = { command: ['tor'], stopGraceMs: STOP_GRACE_MS, ...options }
    const onError = (error: unknown) => options.logger.error({ err: error }, 'A listener of a tor process failed')
    this.#progressListeners = new Listeners(onError)
    this.#exitListeners = new Listeners(onError)
  }

  observe(): TorProcessObservation {
    const log = this.#child?.log
    const isUp = this.#isAlive && log?.isUp === true
    const isStarting = this.#isAlive || this.#starts.isRunning
    return {
      state: isUp ? 'running' : isStarting ? 'starting' : this.#problem !== undefined ? 'exited' : 'stopped',
      pid: this.#isAlive ? this.#child?.pid : undefined,
      bootstrap: this.#isAlive && log ? log.bootstrap : NOT_BOOTSTRAPPED,
      version: log?.version,
      startedAt: isUp ? this.#startedAt : undefined,
      problem: this.#problem,
      warnings: [...(log?.warnings ?? [])],
      lines: [...(log?.lines ?? [])],
    }
  }

  /** Calls `listener` at each step of the bootstrap. Dispose to stop listening. */
  onProgress(listener: (bootstrap: Bootstrap) => void): Disposable {
    return this.#progressListeners.add(listener)
  }

  /** Calls `listener` at the end of each run, asked for or not. Dispose to stop listening. */
  onExit(listener: (exit: TorExit) => void): Disposable {
    return this.#exitListeners.add(listener)
  }

  /** The end of the run that is going on, or of the last one. Undefined before the first start. Never rejects. */
  get exited(): Promise<TorExit> | undefined {
    return this.#gone
  }

  /**
   * Resolves once tor has taken its torrc and opened its listeners, the control socket among them; it may still bootstrap. A
   * tor that a killed predecessor of this program left in the directory is ended before. Safe when it is up; calls at
   * the same time share one start. Rejects with a `TorProcessError`, or with the signal's reason, leaving no process behind.
   */
  async start(signal: AbortSignal): Promise<void> {
    await this.#starts.join(signal)
  }

  /** Resolves at 100 %. Rejects with a `TorProcessError` when tor is not running or ends on its way. */
  async waitForBootstrap(signal: AbortSignal): Promise<void> {
    const child = this.#isAlive ? this.#child : undefined
    if (child === undefined)
      throw new TorProcessError('not-running', 'Cannot wait for tor to bootstrap: it is not running')
    const done = Promise.withResolvers<void>()
    using _ = this.onProgress(({ progress }) => progress === 100 && done.resolve())
    if (child.log.bootstrap.progress === 100) done.resolve()
    await abortable(Promise.race([done.promise, failWhenExited(child)]), signal)
  }

  /**
   * Ends tor, and a start that is going on, and resolves once the process is gone and its directory is free. A signal that
   * aborts ends the patience, not the stop: tor is killed at once.
   */
  async stop(signal: AbortSignal): Promise<void> {
    await this.#starts.cancel(new TorProcessError('not-running', 'Cannot start tor: it was stopped meanwhile'))
    if (this.#isAlive) await this.#child?.end(this.#options.stopGraceMs, signal)
    await this.#gone
    this.#problem = undefined
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.stop(new AbortController().signal)
  }

  async #launch(signal: AbortSignal): Promise<void> {
    if (this.#isAlive && this.#child?.isAsked === false) return
    if (this.#gone) await abortable(this.#gone, signal)
    this.#problem = undefined
    try {
      await this.#prepareDirectory(signal)
      const child = await this.#spawn()
      try {
        await claim(this.#options.directory, child.pid)
        await abortable(Promise.race([child.up, failWhenExited(child)]), signal)
      } catch (error) {
        await child.end(this.#options.stopGraceMs)
        await this.#gone
        throw error
      }
      this.#startedAt = this.#options.clock.now()
      this.#options.logger.info({ pid: child.pid, version: child.log.version }, 'Tor is up')
    } catch (error) {
      if (!signal.aborted) this.#problem = error instanceof Error ? error.message : String(error)
      throw error
    }
  }

  async #prepareDirectory(signal: AbortSignal): Promise<void> {
    const { directory, torrc, clock, stopGraceMs, logger } = this.#options
    try {
      await mkdir(directory.path, { recursive: true, mode: 0o700 })
      await chmod(directory.path, 0o700)
      await writeFile(directory.torrc, torrc, { mode: 0o600 })
    } catch (error) {
      const why = error instanceof Error ? error.message : String(error)
      throw new TorProcessError('directory', `Cannot start tor in ${directory.path}: ${why}`, { cause: error })
    }
    const pid = await endPredecessor(directory, clock, stopGraceMs, signal)
    if (pid !== undefined) logger.info({ pid }, 'Ended a tor that a predecessor had left behind')
    signal.throwIfAborted()
  }

  async #spawn(): Promise<TorChild> {
    const { command, directory, clock } = this.#options
    const child = await TorChild.spawn({
      // No defaults of the machine's: what is not in our torrc is as tor(1) says.
      command: [...command, '-f', directory.torrc, '--defaults-torrc', '/dev/null'],
      workingDirectory: directory.path,
      clock,
      onLine: (line) => this.#onLine(line),
    })
    this.#child = child
    this.#isAlive = true
    this.#gone = this.#bury(child)
    return child
  }

  /** Resolves when nothing of the run is left that could get in the way of the next. */
  async #bury(child: TorChild): Promise<TorExit> {
    const exit = await child.exited
    this.#isAlive = false
    const { logger, directory } = this.#options
    if (!exit.wasAsked) this.#problem = exit.reason
    logger.info({ pid: child.pid, code: exit.code, signal: exit.signal }, exit.reason)
    this.#exitListeners.notify(exit)
    await unclaim(directory).catch((error: unknown) => logger.error({ err: error }, 'Cannot remove a pid file'))
    return exit
  }

  #onLine(line: TorLogLine): void {
    const { logger } = this.#options
    // Tor warns of what its clients do wrong, too; what matters of its warnings is in `observe()`.
    if (line.level === 'err') logger.error({}, line.text)
    else if (line.level === 'warn') logger.info({ torLevel: line.level }, line.text)
    else logger.debug({}, line.text)
    const bootstrap = parseBootstrap(line.text)
    if (bootstrap !== undefined) this.#progressListeners.notify(bootstrap)
  }
}

async function failWhenExited(child: TorChild): Promise<never> {
  const { reason } = await child.exited
  throw new TorProcessError('exited', reason)
}

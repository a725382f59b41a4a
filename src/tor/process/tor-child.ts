import { type ChildProcess, spawn } from 'node:child_process'
import { once } from 'node:events'
import { createInterface } from 'node:readline'
import type { Readable } from 'node:stream'
import { onAbort } from '../../lib/abort.ts'
import type { Clock } from '../../lib/clock.ts'
import { within } from '../../lib/within.ts'
import { TorProcessError } from './errors.ts'
import { TorLog, type TorLogLine } from './tor-log.ts'

/** How long the last words of a process that has ended may be on their way; something else might hold its output open. */
const LAST_WORDS_MS = 200

export interface TorExit {
  readonly code: number | null
  readonly signal: NodeJS.Signals | null
  /** Whether we had asked it to end. */
  readonly wasAsked: boolean
  /** What happened, in a sentence with tor's own words. */
  readonly reason: string
  readonly lines: readonly TorLogLine[]
}

export interface TorChildOptions {
  /** The whole command line, the program first. */
  readonly command: readonly string[]
  readonly workingDirectory: string
  readonly clock: Clock
  readonly onLine: (line: TorLogLine, child: TorChild) => void
}

/** One run of tor, from the start of the process to its end. */
export class TorChild {
  readonly log = new TorLog()
  readonly pid: number
  /** Resolves when tor's listeners are open. */
  readonly up: Promise<void>
  /** Resolves when the process is gone, however that came. Never rejects. */
  readonly exited: Promise<TorExit>
  readonly #process: ChildProcess
  readonly #clock: Clock
  #isAsked = false

  /** Rejects with a `TorProcessError` when there is no such program, or it may not be run. */
  static async spawn(options: TorChildOptions): Promise<TorChild> {
    const [program = 'tor', ...args] = options.command
    const child = spawn(program, args, {
      cwd: options.workingDirectory,
      stdio: ['ignore', 'pipe', 'pipe'],
      // Of our environment, which may hold secrets, tor needs nothing but where programs are.
      env: { PATH: process.env.PATH, HOME: options.workingDirectory },
      // Its own process group: Ctrl-C is for us, who then end it when nobody needs it any more.
      detached: true,
    })
    try {
      await once(child, 'spawn')
    } catch (error) {
      throw notStarted(program, error)
    }
    return new TorChild(child, options)
  }

  private constructor(child: ChildProcess, { clock, onLine }: TorChildOptions) {
    this.#process = child
    this.#clock = clock
    this.pid = child.pid ?? 0
    const up = Promise.withResolvers<void>()
    this.up = up.promise
    for (const output of [child.stdout, child.stderr])
      readLines(output, (text) => {
        onLine(this.log.push(text), this)
        if (this.log.isUp) up.resolve()
      })
    // Such as a signal that could not be sent; how the process fares is told by its exit alone.
    child.on('error', () => {})
    endWithUs(child)
    this.exited = this.#watch()
  }

  get isAsked(): boolean {
    return this.#isAsked
  }

  /**
   * Asks tor to end and resolves when it has. A client ends at once at SIGTERM and saves its state, the guards, on the way
   * (a relay at SIGINT would wait for its users first). After `graceMs`, or as soon as the signal aborts, it is killed.
   */
  async end(graceMs: number, signal?: AbortSignal): Promise<TorExit> {
    this.#isAsked = true
    this.#process.kill('SIGTERM')
    using _timer = this.#clock.timer(graceMs, () => this.#killGroup())
    using _abort = signal && onAbort(signal, () => this.#killGroup())
    return await this.exited
  }

  async #watch(): Promise<TorExit> {
    const closed = once(this.#process, 'close')
    const [code, signal] = (await once(this.#process, 'exit')) as [number | null, NodeJS.Signals | null]
    await within(this.#clock, LAST_WORDS_MS, closed)
    const how = signal === null ? `exited with code ${code}` : `was ended by ${signal}`
    const words = signal !== null ? undefined : code === 0 ? this.log.lines.at(-1)?.text : this.log.complaint
    const reason = `Tor ${how}${words === undefined ? '' : `: ${words}`}`
    return { code, signal, wasAsked: this.#isAsked, reason, lines: [...this.log.lines] }
  }

  /** With the programs that tor itself has started, such as pluggable transports. */
  #killGroup(): void {
    try {
      process.kill(-this.pid, 'SIGKILL')
    } catch {
      this.#process.kill('SIGKILL')
    }
  }
}

function readLines(output: Readable | null, onLine: (text: string) => void): void {
  if (output) createInterface({ input: output, crlfDelay: Number.POSITIVE_INFINITY }).on('line', onLine)
}

const living = new Set<ChildProcess>()

/** When this program ends without having ended tor (an error that nobody caught), it does so at the last moment. */
function endWithUs(child: ChildProcess): void {
  if (living.size === 0) process.on('exit', endAll)
  living.add(child)
  child.once('exit', () => {
    living.delete(child)
    if (living.size === 0) process.off('exit', endAll)
  })
}

function endAll(): void {
  for (const child of living) child.kill('SIGTERM')
}

function notStarted(program: string, error: unknown): TorProcessError {
  const code = (error as NodeJS.ErrnoException).code
  const why =
    code === 'ENOENT'
      ? `there is no program "${program}". Install it (Debian, Ubuntu, Fedora, Alpine, Homebrew: the package "tor") or name its path`
      : `"${program}" cannot be run (${code})`
  return new TorProcessError('not-installed', `Cannot start tor: ${why}`, { cause: error })
}

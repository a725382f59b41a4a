import { type ChildProcess, spawn } from 'node:child_process'
import { createInterface } from 'node:readline'
import { onAbort } from '../../lib/abort.ts'

const KEPT_LINES = 300
const SHOWN_LINES = 8

interface LineWaiter {
  readonly pattern: RegExp
  settle(error?: Error): void
}

/** One tor process of the network: started, watched by what it logs, and hurt by signals. */
export class Daemon implements AsyncDisposable {
  readonly name: string
  readonly #command: readonly string[]
  readonly #onChange: () => void
  #child: ChildProcess | undefined
  #exited: Promise<void> = Promise.resolve()
  #failure: Error | undefined
  #disposed = false
  #lines: string[] = []
  #waiters = new Set<LineWaiter>()

  /** `onChange` is called whenever the process starts or exits. */
  constructor(name: string, command: readonly string[], onChange: () => void) {
    this.name = name
    this.#command = command
    this.#onChange = onChange
  }

  /** Undefined when the process is not running. */
  get pid(): number | undefined {
    return this.#child?.pid
  }

  /** How its last run ended; undefined while it runs and before its first start. */
  get failure(): Error | undefined {
    return this.#failure
  }

  start(): void {
    if (this.#disposed) throw new Error(`Cannot start ${this.name}: the network was closed`)
    if (this.#child) throw new Error(`Cannot start ${this.name}: it is running as process ${this.#child.pid}`)
    this.#lines = []
    this.#failure = undefined
    const [program = '', ...args] = this.#command
    const child = spawn(program, args, { stdio: ['ignore', 'pipe', 'pipe'] })
    this.#child = child
    for (const stream of [child.stdout, child.stderr]) createInterface(stream).on('line', (line) => this.#onLine(line))
    child.on('error', (error) => this.#onLine(error.message))
    const { promise, resolve } = Promise.withResolvers<void>()
    this.#exited = promise
    // 'close' comes after the last line of its output, and also when the program could not be started.
    child.on('close', (code, signal) => {
      this.#child = undefined
      this.#failure = new Error(
        `${this.name} ended (${signal ?? `exit code ${code}`}). Its last lines:\n${this.lastLines()}`,
      )
      for (const waiter of this.#waiters) waiter.settle(this.#failure)
      resolve()
      this.#onChange()
    })
    this.#onChange()
  }

  lastLines(): string {
    return this.#lines
      .slice(-SHOWN_LINES)
      .map((line) => `  ${line}`)
      .join('\n')
  }

  /** Resolves when the process has logged a line that matches since its start; rejects if it ends first. */
  async reached(pattern: RegExp, signal: AbortSignal): Promise<void> {
    if (!this.#lines.some((line) => pattern.test(line))) await this.nextLine(pattern, signal)
  }

  /** As `reached()`, but only lines from now on count. */
  async nextLine(pattern: RegExp, signal: AbortSignal): Promise<void> {
    const { promise, resolve, reject } = Promise.withResolvers<void>()
    const waiter: LineWaiter = { pattern, settle: (error) => (error ? reject(error) : resolve()) }
    this.#waiters.add(waiter)
    using _ = onAbort(signal, (reason) =>
      reject(
        new Error(`${this.name} did not log ${pattern}: ${messageOf(reason)}. Its last lines:\n${this.lastLines()}`, {
          cause: reason,
        }),
      ),
    )
    try {
      if (!this.#child) throw new Error(`Cannot wait for ${this.name} to log ${pattern}: it is not running`)
      await promise
    } finally {
      this.#waiters.delete(waiter)
    }
  }

  /** Sends a signal. Does nothing to a process that is gone. */
  signal(name: 'SIGHUP' | 'SIGSTOP' | 'SIGCONT'): void {
    this.#child?.kill(name)
  }

  /** Ends the process by force, stopped or not, and resolves once it is gone. */
  async kill(): Promise<void> {
    this.#child?.kill('SIGKILL')
    await this.#exited
  }

  async [Symbol.asyncDispose](): Promise<void> {
    this.#disposed = true
    await this.kill()
  }

  #onLine(line: string): void {
    this.#lines.push(line)
    if (this.#lines.length > KEPT_LINES) this.#lines.shift()
    for (const waiter of this.#waiters) if (waiter.pattern.test(line)) waiter.settle()
  }
}

export function messageOf(reason: unknown): string {
  return reason instanceof Error ? reason.message : String(reason)
}

import { type ChildProcess, spawn } from 'node:child_process'
import { rm } from 'node:fs/promises'
import { extname } from 'node:path'
import { createInterface } from 'node:readline'
import { fileURLToPath } from 'node:url'
import type { Clock } from '../../lib/clock.ts'
import type { CommandName, CommandParams, CommandResult, PowerNews, Report } from './protocol.ts'

/**
 * New mount and pid namespaces: what is mounted and started there ends with its first process. That is a shell, as it takes
 * note of the end of orphans; a box's pid namespace does not end before somebody has done that for all of its processes.
 */
const UNSHARE = ['unshare', '--mount', '--pid', '--fork', '--kill-child', '--', 'sh', '-c', '"$@"; exit "$?"', 'sh']
/** How long the inside may take to end its boxes and remove its files before it is ended by force. */
const END_WITHIN_MS = 20_000
const KEPT_ERROR_LENGTH = 4_000

export interface RackListeners {
  onProgress(text: string): void
  onPower(news: PowerNews): void
}

/** The process that holds the boxes, as the outside has it: commands go in, answers and news come out. */
export class RackProcess implements AsyncDisposable {
  readonly #child: ChildProcess
  readonly #clock: Clock
  readonly #listeners: RackListeners
  readonly #waiting = new Map<number, PromiseWithResolvers<unknown>>()
  readonly #ended: Promise<unknown>
  #commands = 0
  #errors = ''
  #directory: string | undefined
  #failure: Error | undefined

  constructor(clock: Clock, listeners: RackListeners) {
    this.#clock = clock
    this.#listeners = listeners
    // Source or compiled, the script has the extension that this file has.
    const script = new URL(`./inside/main${extname(import.meta.url)}`, import.meta.url)
    const [program = '', ...args] = [...UNSHARE, process.execPath, fileURLToPath(script)]
    // A process group of its own, so that Ctrl-C in a terminal reaches the owner of the rack and not the rack.
    this.#child = spawn(program, args, { stdio: ['pipe', 'pipe', 'pipe'], detached: true })
    this.#ended = this.#watch()
  }

  /** Rejects with the inside's own words, or with why it ended. */
  async call<C extends CommandName>(command: C, params: CommandParams<C>): Promise<CommandResult<C>> {
    if (this.#failure) throw this.#failure
    const id = ++this.#commands
    const answer = Promise.withResolvers<unknown>()
    this.#waiting.set(id, answer)
    this.#child.stdin?.write(`${JSON.stringify({ id, command, params })}\n`)
    // The two ends are one program: what comes back under a command's id is that command's result.
    return (await answer.promise) as CommandResult<C>
  }

  /** Ends every box and all that was made for them. Rejects when that took force, which may leave interfaces. */
  async [Symbol.asyncDispose](): Promise<void> {
    this.#child.stdin?.end()
    let isForced = false
    using _ = this.#clock.timer(END_WITHIN_MS, () => {
      isForced = this.#child.kill('SIGKILL')
    })
    await this.#ended
    if (this.#directory) await rm(this.#directory, { recursive: true, force: true })
    if (isForced) throw new Error(`The rack of boxes had to be ended by force: it took longer than ${END_WITHIN_MS} ms`)
  }

  async #watch(): Promise<void> {
    const { stdin, stdout, stderr } = this.#child
    // A write to a process that has ended is answered by its end.
    stdin?.on('error', () => {})
    stderr?.setEncoding('utf8').on('data', (text: string) => {
      this.#errors = (this.#errors + text).slice(-KEPT_ERROR_LENGTH)
    })
    if (stdout) createInterface(stdout).on('line', (line) => this.#onReport(JSON.parse(line)))
    let cause: unknown
    this.#child.on('error', (error) => {
      cause = error
    })
    const how = await new Promise((resolve) => {
      this.#child.on('close', (code, signal) => resolve(signal ?? `exit code ${code}`))
    })
    this.#failure = new Error(`The rack of boxes has ended (${how})${this.#errors && `: ${this.#errors.trim()}`}`, {
      cause,
    })
    for (const { reject } of this.#waiting.values()) reject(this.#failure)
    this.#waiting.clear()
  }

  #onReport(report: Report): void {
    switch (report.type) {
      case 'result':
        this.#take(report.id)?.resolve(report.result)
        break
      case 'failed':
        this.#take(report.id)?.reject(new Error(report.message))
        break
      case 'progress':
        this.#listeners.onProgress(report.text)
        break
      case 'power':
        this.#listeners.onPower(report.news)
        break
      case 'directory':
        this.#directory = report.directory
        break
    }
  }

  #take(id: number): PromiseWithResolvers<unknown> | undefined {
    const waiting = this.#waiting.get(id)
    this.#waiting.delete(id)
    return waiting
  }
}

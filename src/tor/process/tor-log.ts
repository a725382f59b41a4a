export type TorLogLevel = 'err' | 'warn' | 'notice' | 'info' | 'debug'

export interface TorLogLine {
  readonly level: TorLogLevel
  readonly text: string
}

/** Tor's own numbers and words (control-spec section 5.5); only 0 `starting` and 100 `done` are promised. */
export interface Bootstrap {
  readonly progress: number
  readonly tag: string
  readonly summary: string
}

export const NOT_BOOTSTRAPPED: Bootstrap = { progress: 0, tag: 'starting', summary: 'Starting' }

const KEPT_LINES = 50
const KEPT_WARNINGS = 20

/** `Nov 23 07:18:03.000 [notice] Bootstrapped 0% (starting): Starting` */
const LINE = /^\w{3} \d\d \d\d:\d\d:\d\d\.\d{3} \[(err|warn|notice|info|debug)\] (.*)$/

/** What a run of tor has told on its standard output: pure, fed with one line at a time. */
export class TorLog {
  readonly #lines: TorLogLine[] = []
  readonly #warnings: string[] = []
  #bootstrap: Bootstrap = NOT_BOOTSTRAPPED
  #version: string | undefined
  #isUp = false

  /** The last 50 lines, oldest first. */
  get lines(): readonly TorLogLine[] {
    return this.#lines
  }

  /** The last 20 different warnings and errors, oldest first. */
  get warnings(): readonly string[] {
    return this.#warnings
  }

  get bootstrap(): Bootstrap {
    return this.#bootstrap
  }

  get version(): string | undefined {
    return this.#version
  }

  /** Whether the torrc was accepted and all listeners are open: tor says "Bootstrapped 0%" right after that. */
  get isUp(): boolean {
    return this.#isUp
  }

  push(text: string): TorLogLine {
    const line = parseLine(text)
    this.#lines.push(line)
    if (this.#lines.length > KEPT_LINES) this.#lines.shift()
    if (line.level === 'warn' || line.level === 'err') this.#warn(line.text)

    const bootstrap = parseBootstrap(line.text)
    if (bootstrap !== undefined) {
      this.#bootstrap = bootstrap
      this.#isUp = true
    }
    this.#version ??= /^Tor (\S+) .*running on /.exec(line.text)?.[1]
    return line
  }

  /** Why tor gave up, in its own words: the warning before the error, which by itself says only that there was one. */
  get complaint(): string | undefined {
    const error = this.#lines.findLast(({ level }) => level === 'err')?.text
    const warning = this.#lines.findLast(({ level }) => level === 'warn')?.text
    return error !== undefined && !/see warnings above/.test(error)
      ? error
      : (warning ?? error ?? this.#lines.at(-1)?.text)
  }

  #warn(text: string): void {
    if (this.#warnings.includes(text)) return
    this.#warnings.push(text)
    if (this.#warnings.length > KEPT_WARNINGS) this.#warnings.shift()
  }
}

/** What does not look like a line of tor's log is a word of its loader or of the command before it, and worth a warning. */
function parseLine(text: string): TorLogLine {
  const [, level, message = text] = LINE.exec(text) ?? []
  return { level: (level as TorLogLevel | undefined) ?? 'warn', text: message }
}

/** `Bootstrapped 45% (requesting_descriptors): Requesting relay descriptors` */
export function parseBootstrap(text: string): Bootstrap | undefined {
  const [, progress, tag = '', summary = ''] = /^Bootstrapped (\d{1,3})%(?: \(([^)]*)\))?: (.*)$/.exec(text) ?? []
  return progress === undefined ? undefined : { progress: Number(progress), tag, summary }
}

import { type ChildProcess, type SpawnOptions, spawn } from 'node:child_process'
import { once } from 'node:events'
import { createInterface } from 'node:readline'
import { onAbort } from '../lib/abort.ts'
import type { Clock } from '../lib/clock.ts'
import { environment } from './environment.ts'
import { messageOf, TunnelError } from './errors.ts'
import type { CommandOutput, Host, HostCommand } from './host.ts'
import { endUserSpace, startUserSpace } from './user-space.ts'

export interface SystemHostOptions {
  readonly clock: Clock
  /** What stands before every command, such as `nsenter …` for another namespace. */
  readonly prefix?: readonly string[]
  readonly onProblem?: (message: string) => void
}

/** Each of them is done in a few milliseconds; only the resolution of a name takes its time. */
const COMMAND_LIMIT_MS = 10_000
/** Of a look at WireGuard: one that does not answer at once hangs. */
const SHOW_LIMIT_MS = 3_000
const MONITOR_AGAIN_MS = 5_000
const KEPT_OUTPUT = 1_000_000

const PACKAGES = { ip: 'iproute2', wg: 'wireguard-tools', nft: 'nftables' } as const

/** This machine, changed by `ip`, `wg` and `nft`. */
export class SystemHost implements Host {
  readonly #options: SystemHostOptions

  constructor(options: SystemHostOptions) {
    this.#options = options
  }

  async run({ program, args, stdin }: HostCommand, signal: AbortSignal): Promise<CommandOutput> {
    const limitMs = args[0] === 'show' ? SHOW_LIMIT_MS : COMMAND_LIMIT_MS
    // `wg` and `nft` open /dev/stdin by its path, which cannot be done with the socket that Node makes of a child's input.
    const command = stdin === undefined ? [program, ...args] : ['sh', '-c', 'cat | "$@"', 'sh', program, ...args]
    const result = await this.#run(
      command,
      { limitMs, what: `${program} ${args[0]} ${args[1] ?? ''}`.trim() },
      stdin,
      signal,
    )
    if (result.code === 127) throw notInstalled(program)
    return result
  }

  async startWireguard(interfaceName: string, signal: AbortSignal): Promise<void> {
    const isAnswering = async () =>
      (await this.run({ program: 'wg', args: ['show', interfaceName, 'dump'] }, signal)).code === 0
    await startUserSpace(interfaceName, { ...this.#options, isAnswering }, signal)
  }

  async endWireguard(interfaceName: string): Promise<void> {
    await endUserSpace(interfaceName, this.#options.clock)
  }

  onChange(listener: (line: string) => void): AsyncDisposable {
    const ended = new AbortController()
    const monitors = [
      this.#monitor(['ip', '-o', 'monitor', 'link', 'address', 'route', 'rule'], listener, ended.signal),
      this.#monitor(['nft', 'monitor'], listener, ended.signal),
    ]
    return {
      async [Symbol.asyncDispose]() {
        ended.abort()
        await Promise.all(monitors)
      },
    }
  }

  async #run(
    command: readonly string[],
    { limitMs, what }: { readonly limitMs: number; readonly what: string },
    stdin: string | undefined,
    signal: AbortSignal,
  ): Promise<CommandOutput> {
    signal.throwIfAborted()
    // A process group of its own, so that all of a pipeline can be ended.
    const child = this.#spawn(command, {
      detached: true,
      stdio: [stdin === undefined ? 'ignore' : 'pipe', 'pipe', 'pipe'],
    })
    let isLate = false
    using _limit = this.#options.clock.timer(limitMs, () => {
      isLate = true
      killGroup(child)
    })
    using _abort = onAbort(signal, () => killGroup(child))
    const output = { stdout: '', stderr: '' }
    for (const name of ['stdout', 'stderr'] as const) {
      child[name]?.setEncoding('utf8').on('data', (text: string) => {
        output[name] = (output[name] + text).slice(0, KEPT_OUTPUT)
      })
    }
    // Whether it has read everything is told by its exit code.
    child.stdin?.on('error', () => {})
    child.stdin?.end(stdin)
    const code = await this.#exitCode(child)
    signal.throwIfAborted()
    if (isLate) throw new TunnelError('failed', `Cannot run "${what}": it did not end within ${limitMs} ms`)
    return { code, ...output }
  }

  async #exitCode(child: ChildProcess): Promise<number> {
    try {
      const [code] = (await once(child, 'close')) as [number | null]
      return code ?? -1
    } catch (error) {
      if ((error as NodeJS.ErrnoException).code === 'ENOENT') return 127
      throw new TunnelError('failed', `Cannot run a program: ${messageOf(error)}`, { cause: error })
    }
  }

  /** What ends too early (its buffer overran, somebody killed it) begins again: between them the slow check is left. */
  async #monitor(command: readonly string[], listener: (line: string) => void, signal: AbortSignal): Promise<void> {
    while (!signal.aborted) {
      const child = this.#spawn(endingWithUs(command), { detached: true, stdio: ['ignore', 'pipe', 'ignore'] })
      using _ = onAbort(signal, () => killGroup(child))
      if (child.stdout) createInterface(child.stdout).on('line', listener)
      await this.#exitCode(child).catch(() => {})
      if (signal.aborted) return
      this.#options.onProblem?.(
        `"${command.slice(0, 3).join(' ')}" has ended; it begins again in ${MONITOR_AGAIN_MS} ms`,
      )
      await this.#options.clock.sleep(MONITOR_AGAIN_MS, signal).catch(() => {})
    }
  }

  #spawn(command: readonly string[], options: SpawnOptions): ChildProcess {
    const [program = '', ...args] = [...(this.#options.prefix ?? []), ...command]
    return spawn(program, args, { ...options, env: environment() })
  }
}

/** A monitor that waits for changes does not see by itself that its reader was killed; where `setpriv` can tell it, it does. */
function endingWithUs(command: readonly string[]): readonly string[] {
  const script = 'setpriv --pdeathsig KILL true 2>/dev/null && exec setpriv --pdeathsig KILL "$@"; exec "$@"'
  return ['sh', '-c', script, 'sh', ...command]
}

function notInstalled(program: HostCommand['program']): TunnelError {
  const debian = PACKAGES[program]
  return new TunnelError(
    'not-installed',
    `Cannot work on a tunnel: there is no program "${program}". Install it (Debian, Ubuntu, Fedora, Alpine: the package "${debian}")`,
  )
}

function killGroup(child: ChildProcess): void {
  if (child.pid === undefined || child.exitCode !== null || child.signalCode !== null) return
  try {
    process.kill(-child.pid, 'SIGKILL')
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code !== 'ESRCH') throw error
  }
}

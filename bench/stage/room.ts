import { type ChildProcess, execFile, spawn } from 'node:child_process'
import { once } from 'node:events'
import { closeSync, openSync, readFileSync } from 'node:fs'
import { createInterface } from 'node:readline'
import { promisify } from 'node:util'
import { inNetworkOf, inNewNamespaces } from '../../src/testnet/namespace.ts'
import type { TorNetwork } from '../../src/testnet/network.ts'

const run = promisify(execFile)
/** Of times in /proc/PID/stat, per second; Linux has no other. */
const TICKS = 100

export interface Started {
  readonly pid: number
  readonly child: ChildProcess
}

/** A network namespace and the processes in it, which all end with it. Ports in it are free, so each program has those of its manual. */
export class Room implements AsyncDisposable {
  readonly #of: () => number
  readonly #parts = new AsyncDisposableStack()
  readonly #logs: string

  /** One that has nothing but loopback. `directory`: for logs. */
  static async create(directory: string): Promise<Room> {
    const [program = '', ...args] = inNewNamespaces(['sh', '-c', 'ip link set lo up && echo up && exec cat'])
    const holder = spawn(program, args, { stdio: ['pipe', 'pipe', 'inherit'] })
    await once(holder.stdout, 'data', { signal: AbortSignal.timeout(10_000) })
    // Of unshare, whose child is the process in the namespaces.
    const [pid = 0] = readFileSync(`/proc/${holder.pid}/task/${holder.pid}/children`, 'utf8')
      .trim()
      .split(' ')
      .map(Number)
    const room = new Room(() => pid, directory)
    room.#parts.defer(async () => {
      if (holder.exitCode !== null) return
      holder.stdin.end()
      await once(holder, 'exit')
    })
    return room
  }

  /** That of a private Tor network, which stays the caller's. */
  static of(network: TorNetwork): Room {
    return new Room(() => network.namespacePid, network.directory)
  }

  private constructor(pid: () => number, logs: string) {
    this.#of = pid
    this.#logs = logs
  }

  command(command: readonly string[]): string[] {
    return inNetworkOf(this.#of(), command)
  }

  /** Standard output. Rejects as execFile does. */
  async run(command: readonly string[], timeoutMs = 60_000): Promise<string> {
    const [program = '', ...args] = this.command(command)
    return (await run(program, args, { timeout: timeoutMs, maxBuffer: 64 << 20 })).stdout
  }

  /**
   * Starts a program, which is ended with the room, and killed should this process end before. `readsOutput`: its output is the
   * caller's to read, rather than in `NAME.log` with its errors. The pid is that of the program, as those before it become it.
   */
  start(name: string, command: readonly string[], { readsOutput = false } = {}): Started {
    const [program = '', ...args] = this.command(['setpriv', '--pdeathsig', 'KILL', ...command])
    const log = openSync(this.logOf(name), 'a')
    const child = spawn(program, args, { stdio: ['pipe', readsOutput ? 'pipe' : log, log] })
    closeSync(log)
    child.stdin?.on('error', () => {})
    const { pid } = child
    if (pid === undefined) throw new Error(`Cannot start ${program}`)
    this.#parts.defer(async () => {
      if (child.exitCode !== null || child.signalCode !== null) return
      child.kill('SIGTERM')
      const exited = once(child, 'exit')
      const force = setTimeout(() => child.kill('SIGKILL'), 15_000)
      await exited
      clearTimeout(force)
    })
    return { pid, child }
  }

  logOf(name: string): string {
    return `${this.#logs}/${name}.log`
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.#parts.disposeAsync()
  }
}

/** Resolves with the match in a line of its output. Rejects when it ends before. The output is read and dropped from then on. */
export async function lineOf({ child }: Started, pattern: RegExp, limitMs = 60_000): Promise<RegExpExecArray> {
  const { stdout } = child
  if (stdout === null) throw new Error('Cannot read the output of a program that writes to a file')
  const lines = createInterface(stdout)
  const found = Promise.withResolvers<RegExpExecArray>()
  lines.on('line', (line) => {
    const match = pattern.exec(line)
    if (match) found.resolve(match)
  })
  lines.once('close', () => found.reject(new Error(`The program ended before it said ${pattern}`)))
  const limit = setTimeout(() => found.reject(new Error(`The program did not say ${pattern}`)), limitMs)
  try {
    return await found.promise
  } finally {
    clearTimeout(limit)
  }
}

/** Of processor time, user's and kernel's, by a process and none of its children. */
export function cpuSeconds(...pids: readonly number[]): number {
  return pids.reduce((sum, pid) => {
    const text = readFileSync(`/proc/${pid}/stat`, 'utf8')
    const fields = text.slice(text.lastIndexOf(')') + 2).split(' ')
    return sum + (Number(fields[11]) + Number(fields[12])) / TICKS
  }, 0)
}

export function residentKiB(...pids: readonly number[]): number {
  return pids.reduce((sum, pid) => {
    const [, kib = '0'] = /VmRSS:\s+(\d+)/.exec(readFileSync(`/proc/${pid}/status`, 'utf8')) ?? []
    return sum + Number(kib)
  }, 0)
}

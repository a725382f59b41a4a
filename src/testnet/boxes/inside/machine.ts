import { type ChildProcess, spawn } from 'node:child_process'
import { access, chmod, mkdir, readFile, writeFile } from 'node:fs/promises'
import { dirname, join } from 'node:path'
import { createInterface } from 'node:readline'
import { onAbort } from '../../../lib/abort.ts'
import type { Clock } from '../../../lib/clock.ts'
import { messageOf } from '../../inside/daemon.ts'
import { run } from '../../inside/run.ts'
import { boxName } from '../plan.ts'
import type { ExecResult, PowerNews, SnapshotEntry } from '../protocol.ts'
import { BOOT_SCRIPT } from './boot-script.ts'
import { onlyChild } from './children.ts'
import { CONFINED, enter, type Script } from './enter.ts'
import { snapshot } from './snapshot.ts'
import { inNamespace, type Wires } from './wires.ts'

/** Said on the console when the box's own init takes over. */
const HANDED_OVER = '@cbtor-handed-over'
/** Made by the box's init when all start scripts have run. */
const BOOTED = '/dev/.stand-in/booted'
/** How init ends, apart from these: as at a power cut. The signals are the kernel's, for `reboot -f` and `poweroff -f`. */
const REBOOTED: readonly unknown[] = [0, 'SIGHUP']
const KEPT_LINES = 100
const SHOWN_LINES = 10
const POLL_MS = 50

export interface MachineOptions {
  readonly n: number
  /** A directory of its own. */
  readonly directory: string
  /** What overlayfs takes as `lowerdir`. */
  readonly lower: string
  readonly wires: Wires
  readonly clock: Clock
  readonly bootDelayMs: number
  readonly tmpMb: number
  readonly flashMb: number
  onPower(news: PowerNews): void
}

/** A file that the flash has before the first boot. */
export interface FlashFile {
  /** In the box, absolute. */
  readonly path: string
  readonly content: string | Uint8Array
  readonly mode: number
}

interface Running {
  readonly init: number
  readonly bootId: string
}

/** One box: a flash that stays, a power switch, and a system that boots from one when the other is on. */
export class Machine implements AsyncDisposable {
  readonly n: number
  readonly #options: MachineOptions
  readonly #name: string
  readonly #flash: string
  #boots = 0
  #lines: string[] = []
  #running: Running | undefined
  #power: { readonly cut: AbortController; readonly ended: Promise<void> } | undefined

  private constructor(options: MachineOptions) {
    this.n = options.n
    this.#options = options
    this.#name = boxName(options.n)
    this.#flash = join(options.directory, 'flash')
  }

  /** A box that is off, with `files` on its flash. */
  static async create(options: MachineOptions, files: readonly FlashFile[], signal: AbortSignal): Promise<Machine> {
    const machine = new Machine(options)
    const root = join(options.directory, 'root')
    const flash = machine.#flash
    await Promise.all([mkdir(flash), mkdir(root)])
    await run(['mount', '-t', 'tmpfs', '-o', `mode=755,size=${options.flashMb}m`, 'flash', flash], '', signal)
    await Promise.all([mkdir(join(flash, 'upper')), mkdir(join(flash, 'work'))])
    // Through the overlay, so that folders keep the owners and modes that they have below.
    const layers = `lowerdir=${options.lower},upperdir=${flash}/upper,workdir=${flash}/work`
    await run(['mount', '-t', 'overlay', 'overlay', '-o', layers, root], '', signal)
    for (const { path, content, mode } of files) {
      const file = join(root, path)
      await mkdir(dirname(file), { recursive: true })
      await writeFile(file, content)
      await chmod(file, mode)
    }
    await run(['umount', root], '', signal)
    return machine
  }

  get console(): readonly string[] {
    return this.#lines
  }

  /** Resolves when the box's own system has taken over. Safe to repeat. Rejects with the console when it does not come to that. */
  async powerOn(): Promise<void> {
    if (this.#power) return
    const cut = new AbortController()
    const started = Promise.withResolvers<void>()
    const ended = this.#run(cut.signal, started.resolve)
      .catch((error) => this.#onLine(messageOf(error)))
      // Of no consequence when it had started before.
      .then(() => started.reject(new Error(`Cannot start ${this.#name}. ${this.#lastLines()}`)))
    const power = { cut, ended: ended.finally(() => this.#forget(power)) }
    this.#power = power
    await started.promise
  }

  /** Pulls the plug: nothing is shut down. Resolves when no process of the box is left. Safe to repeat. */
  async powerOff(): Promise<void> {
    this.#power?.cut.abort(new Error(`${this.#name} was switched off`))
    await this.#power?.ended
  }

  /** Resolves with the boot id when, in a boot other than `after`, all start scripts have run and SSH is to be had. */
  async waitUp(after: string | null, signal: AbortSignal): Promise<string> {
    for (;;) {
      if (!this.#power) throw new Error(`${this.#name} is off. ${this.#lastLines()}`)
      const running = this.#running
      if (running && running.bootId !== after) {
        const isBooted = (await exists(`/proc/${running.init}/root${BOOTED}`)) && (await listensForSsh(running.init))
        if (isBooted && running === this.#running) return running.bootId
      }
      await this.#options.clock.sleep(POLL_MS, signal).catch((reason) => {
        throw new Error(`${this.#name} did not boot: ${reason.message}. ${this.#lastLines()}`, { cause: reason })
      })
    }
  }

  async exec(script: Script): Promise<ExecResult> {
    return await enter(this.#mustRun().init, script, this.#options.clock)
  }

  async snapshot(): Promise<SnapshotEntry[]> {
    return await snapshot(`/proc/${this.#mustRun().init}/root`)
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.powerOff()
  }

  /** Boots, and boots again after every reboot, until the box switches itself off or `cut` aborts. */
  async #run(cut: AbortSignal, onStarted: () => void): Promise<void> {
    for (;;) {
      const how = await this.#boot(cut, onStarted)
      if (cut.aborted || !REBOOTED.includes(how)) return
      await this.#options.clock.sleep(this.#options.bootDelayMs, cut).catch(() => {})
      if (cut.aborted) return
    }
  }

  /** Resolves with how init ended: an exit code or the name of a signal. */
  async #boot(cut: AbortSignal, onStarted: () => void): Promise<number | string | null> {
    const { n, wires, directory, lower, tmpMb } = this.#options
    const never = new AbortController().signal
    this.#lines = []
    const bootId = (await readFile('/proc/sys/kernel/random/uuid', 'utf8')).trim()
    const bootIdFile = join(directory, 'boot_id')
    await writeFile(bootIdFile, `${bootId}\n`)
    const network = await wires.connect(n, ++this.#boots, never)
    try {
      const unshare = ['unshare', '--mount', '--pid', '--uts', '--ipc', '--fork', '--kill-child', '--']
      const script = ['sh', '-c', BOOT_SCRIPT, this.#name, join(directory, 'root'), lower, this.#flash, bootIdFile]
      const command = [...inNamespace(network), ...CONFINED, ...unshare, ...script, `${tmpMb}m`, HANDED_OVER]
      const [program = '', ...args] = command
      const child = spawn(program, args, { stdio: ['ignore', 'pipe', 'pipe'] })
      for (const stream of [child.stdout, child.stderr]) {
        createInterface(stream).on('line', (line) => {
          if (line === HANDED_OVER) this.#onHandedOver(child, bootId, cut, onStarted)
          else this.#onLine(line)
        })
      }
      using _ = onAbort(cut, () => kill(this.#running?.init ?? child.pid))
      const { promise, resolve } = Promise.withResolvers<number | string | null>()
      child.on('error', (error) => this.#onLine(error.message))
      child.on('close', (code, signal) => resolve(signal ?? code))
      const how = await promise
      this.#onLine(`(ended: ${typeof how === 'number' ? `exit code ${how}` : how})`)
      return how
    } finally {
      const wasOn = this.#running !== undefined
      this.#running = undefined
      await wires.disconnect(n, network, never)
      // Only now, so that whoever hears of it can switch it on again.
      if (wasOn) this.#options.onPower({ n, isOn: false, boots: this.#boots })
    }
  }

  #onHandedOver(child: ChildProcess, bootId: string, cut: AbortSignal, onStarted: () => void): void {
    const init = onlyChild(child.pid)
    if (init === undefined) return
    this.#running = { init, bootId }
    if (cut.aborted) kill(init)
    this.#options.onPower({ n: this.n, isOn: true, boots: this.#boots })
    onStarted()
  }

  #mustRun(): Running {
    if (!this.#running) throw new Error(`${this.#name} is ${this.#power ? 'between two boots' : 'off'}`)
    return this.#running
  }

  #forget(power: unknown): void {
    if (this.#power === power) this.#power = undefined
  }

  #onLine(line: string): void {
    this.#lines.push(line)
    if (this.#lines.length > KEPT_LINES) this.#lines.shift()
  }

  #lastLines(): string {
    return `The last lines of its console:\n${this.#lines.slice(-SHOWN_LINES).join('\n')}`
  }
}

async function exists(path: string): Promise<boolean> {
  return await access(path).then(
    () => true,
    () => false,
  )
}

/** Whether the network namespace of a process has a listener on port 22 (hex 16). */
async function listensForSsh(pid: number): Promise<boolean> {
  const tables = await Promise.all(
    ['tcp', 'tcp6'].map((name) => readFile(`/proc/${pid}/net/${name}`, 'utf8').catch(() => '')),
  )
  return tables.some((table) => /:0016 \S+ 0A /.test(table))
}

function kill(pid: number | undefined): void {
  try {
    if (pid !== undefined) process.kill(pid, 'SIGKILL')
  } catch {
    // it has just ended
  }
}

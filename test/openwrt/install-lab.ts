import { spawn } from 'node:child_process'
import { once } from 'node:events'
import { mkdirSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { createInterface } from 'node:readline'
import { Command } from 'commander'
import { type WorkerParts, workerCommand } from '../../src/cli/commands/worker.ts'
import { systemClock } from '../../src/lib/clock.ts'
import { BoxRack, type BoxRackOptions, type RackNetwork } from '../../src/testnet/boxes/rack.ts'
import { eventually, knock } from './rack-host.ts'

/**
 * What a rack needs of a private Tor network, without its daemons: installing does not ask whether Tor reaches anybody. Its one
 * authority is an address that nobody has.
 */
async function silentNetwork(directory: string): Promise<RackNetwork & AsyncDisposable> {
  const geoipFile = join(directory, 'geoip')
  writeFileSync(geoipFile, '')
  const inside = ['sh', '-c', 'ip link set lo up && echo up && exec cat']
  const child = spawn('unshare', ['--net', '--', ...inside], { stdio: ['pipe', 'pipe', 'inherit'] })
  const ended = once(child, 'exit')
  await once(createInterface(child.stdout), 'line')
  const identity = 'A'.repeat(40)
  return {
    isolation: 'namespace',
    namespacePid: child.pid ?? 0,
    geoipFile,
    clientTorrc: () => [`DirAuthority nobody orport=5000 v3ident=${identity} 203.0.113.1:7000 ${identity}`],
    processes: () => [],
    async [Symbol.asyncDispose]() {
      // It ends with its input, as it also does when we end.
      child.stdin.end()
      await ended
    },
  }
}

/** What a command of `cbtor worker` came to. */
export interface Ran {
  readonly out: string
  readonly err: string
  /** Its message, if it failed. */
  readonly failure: string | undefined
}

export interface RunOptions {
  readonly signal?: AbortSignal
  readonly confirm?: (question: string) => Promise<boolean>
  /** Told the name of each step that begins. */
  readonly onStep?: (name: string) => void
  readonly payloadDirectory?: string
  /** A state directory, with the key that is made in it. */
  readonly ownKey?: string
}

/** A rack of boxes and a `cbtor worker` that reaches them. */
export class InstallLab implements AsyncDisposable {
  readonly rack: BoxRack
  readonly directory: string
  /** The state directory of the commands. */
  readonly state: string
  readonly #parts: AsyncDisposableStack

  private constructor(rack: BoxRack, directory: string, parts: AsyncDisposableStack) {
    this.rack = rack
    this.directory = directory
    this.state = join(directory, 'state')
    this.#parts = parts
  }

  static async create(options: Omit<BoxRackOptions, 'directory'>): Promise<InstallLab> {
    const directory = mkdtempSync(join(tmpdir(), 'cbtor-install-test-'))
    await using parts = new AsyncDisposableStack()
    parts.defer(() => rmSync(directory, { recursive: true }))
    const network = parts.use(await silentNetwork(directory))
    const rackDirectory = join(directory, 'rack')
    mkdirSync(rackDirectory)
    const rack = parts.use(await BoxRack.create(network, { bootDelayMs: 500, ...options, directory: rackDirectory }))
    for (const { address } of rack.boxes)
      await eventually(async () => (await knock(address, 22, 1_000)).startsWith('SSH-'))
    return new InstallLab(rack, directory, parts.move())
  }

  /** Runs `cbtor worker ARGV`, with the state directory and the key that the boxes accept unless told. */
  async worker(
    argv: readonly string[],
    { signal, confirm, onStep, payloadDirectory, ownKey }: RunOptions = {},
  ): Promise<Ran> {
    const written = { out: '', err: '' }
    const into = (name: 'out' | 'err') => ({
      write: (text: string) => {
        written[name] += text
        if (name === 'err') onStep?.(text.replace(/^.*: /, '').trim())
      },
    })
    const parts: WorkerParts = {
      env: {},
      out: into('out'),
      err: into('err'),
      clock: systemClock,
      signal: signal ?? new AbortController().signal,
      createService: notHere,
      createTestNetwork: notHere,
      ...(confirm && { confirm }),
      ...(payloadDirectory !== undefined && { payloadDirectory }),
    }
    const key = argv.includes('--key') || ownKey !== undefined ? [] : ['--key', this.rack.clientKeyFile]
    const state = argv.includes('--state') ? [] : ['--state', ownKey ?? this.state]
    const program = new Command('cbtor')
      .exitOverride()
      .configureOutput({ writeOut: (text) => parts.out.write(text), writeErr: (text) => parts.err.write(text) })
    program.addCommand(workerCommand(parts).copyInheritedSettings(program))
    try {
      await program.parseAsync(['worker', ...argv, ...key, ...state], { from: 'user' })
      return { ...written, failure: undefined }
    } catch (error) {
      return { ...written, failure: (error as Error).message }
    }
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.#parts[Symbol.asyncDispose]()
  }
}

async function notHere(): Promise<never> {
  throw new Error('There is no service in this test')
}

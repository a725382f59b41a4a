import assert from 'node:assert/strict'
import { spawn } from 'node:child_process'
import { once } from 'node:events'
import { mkdirSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { createInterface } from 'node:readline'
import { Command } from 'commander'
import { readBoxes } from '../../src/boxes/box-file.ts'
import { boxWork } from '../../src/cli/box-work.ts'
import { type BoxParts, boxCommands } from '../../src/cli/commands/box-commands.ts'
import { systemClock } from '../../src/lib/clock.ts'
import type { TestBox } from '../../src/testnet/boxes/box.ts'
import { BoxRack, type BoxRackOptions, type RackNetwork } from '../../src/testnet/boxes/rack.ts'
import { eventually } from '../asking.ts'
import { knock } from './rack-host.ts'

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

/** What a command of `cbtor workers` came to. */
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
  /** With the key that is made in the state directory. */
  readonly hasOwnKey?: true
  readonly state?: string
}

/** A rack of boxes and a `cbtor workers` that reaches them. */
export class InstallLab implements AsyncDisposable {
  readonly rack: BoxRack
  readonly directory: string
  readonly #parts: AsyncDisposableStack

  private constructor(rack: BoxRack, directory: string, parts: AsyncDisposableStack) {
    this.rack = rack
    this.directory = directory
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

  /** Runs `cbtor workers ARGV`, with the key that the boxes accept unless told. */
  async worker(
    argv: readonly string[],
    { state, signal, confirm, onStep, payloadDirectory, hasOwnKey }: RunOptions & { readonly state: string },
  ): Promise<Ran> {
    const written = { out: '', err: '' }
    const into = (name: 'out' | 'err') => ({
      write: (text: string) => {
        written[name] += text
        if (name === 'err') onStep?.(text.replace(/^.*: /, '').trim())
      },
    })
    const parts: BoxParts = {
      env: {},
      out: into('out'),
      err: into('err'),
      clock: systemClock,
      signal: signal ?? new AbortController().signal,
      createService: notHere,
      createTestNetwork: notHere,
      boxWork: async () => boxWork,
      ...(confirm && { confirm }),
      ...(payloadDirectory !== undefined && { payloadDirectory }),
    }
    const key = argv.includes('--key') || hasOwnKey ? [] : ['--key', this.rack.clientKeyFile]
    const inState = argv.includes('--state') ? [] : ['--state', state]
    const endWithThrow = (command: Command) =>
      command
        .exitOverride()
        .configureOutput({ writeOut: (text) => parts.out.write(text), writeErr: (text) => parts.err.write(text) })
    const program = endWithThrow(new Command('cbtor'))
    const workers = program.command('workers')
    for (const each of boxCommands(parts)) workers.addCommand(endWithThrow(each))
    try {
      await program.parseAsync(['workers', ...argv, ...key, ...inState], { from: 'user' })
      return { ...written, failure: undefined }
    } catch (error) {
      return { ...written, failure: (error as Error).message }
    }
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.#parts[Symbol.asyncDispose]()
  }
}

/** One box of the lab, and the `cbtor workers` of a gateway of its own, so that boxes can be tested side by side. */
export class Bench {
  readonly lab: InstallLab
  readonly box: TestBox
  /** The state directory of the gateway. */
  readonly state: string

  constructor(lab: InstallLab, n: number) {
    this.lab = lab
    this.box = lab.rack.box(n)
    this.state = join(lab.directory, `state-${n}`)
  }

  async worker(argv: readonly string[], options: RunOptions = {}): Promise<Ran> {
    return await this.lab.worker(argv, { state: this.state, ...options })
  }

  async install(...more: readonly string[]): Promise<Ran> {
    const { address, hostKey, n } = this.box
    return await this.worker(['install', address, '--accept-host-key', hostKey, '--tunnel', String(n), ...more])
  }

  /** The file that says what is known of the box. */
  boxes() {
    return readBoxes(this.state)
  }

  /** An installation of a box that cannot be one, and what it has to say. */
  async refused(attempt: Promise<Ran>, expected: RegExp): Promise<void> {
    const { failure, out } = await attempt
    assert.match(failure ?? `It was done: ${out}`, expected)
    assert.deepEqual(this.boxes(), [])
  }

  /** All is right with the worker, but for its health: the rack has no Tor network, so the health check finds that there is none. */
  async checkedRight(id: string): Promise<void> {
    const { out } = await this.worker(['check', id, '--json'])
    const { findings } = JSON.parse(out) as { findings: { name: string; right: boolean; text: string }[] }
    assert.ok(findings.length >= 18)
    assert.deepEqual(
      findings.filter(({ name, right }) => !right && name !== 'health'),
      [],
    )
  }

  /** Its SSH answers. */
  async answering(): Promise<void> {
    await eventually(async () => (await knock(this.box.address, 22, 1_000)).startsWith('SSH-'))
  }

  /** The connection is lost in the middle of a step; what was done is taken away, or completed before. */
  async loseConnection(step: string, { isCompleted }: { readonly isCompleted: boolean }): Promise<void> {
    const { box } = this
    const before = await box.snapshot()
    let isCut: Promise<unknown> | undefined
    const cut = await this.worker(['install', box.address, '--accept-host-key', box.hostKey], {
      onStep: (name) => {
        if (name === step) isCut = this.cutOff()
      },
    })
    assert.match(cut.failure ?? '', /What was done so far is noted on the box/)
    await isCut
    await box.startDropbear()
    await this.answering()
    if (isCompleted) {
      done(await this.worker(['install', box.address, '--accept-host-key', box.hostKey]))
      await this.checkedRight('tor01')
    }
    done(await this.worker(['uninstall', box.address, '--accept-host-key', box.hostKey]))
    assertSame(await box.snapshot(), before)
  }

  /** dropbear and its connections are gone, what they had begun goes on. */
  async cutOff(): Promise<void> {
    await this.box.stopDropbear()
    await this.box.exec('kill -9 $(pidof dropbear)')
  }
}

export function done(ran: Ran): Ran {
  assert.equal(ran.failure, undefined)
  return ran
}

export function without(files: ReadonlyMap<string, string>, ...paths: readonly string[]): Map<string, string> {
  return new Map([...files].filter(([one]) => !paths.includes(one)))
}

export function assertSame(now: ReadonlyMap<string, string>, before: ReadonlyMap<string, string>): void {
  const differing = [...new Set([...before.keys(), ...now.keys()])].filter((path) => before.get(path) !== now.get(path))
  assert.deepEqual(
    differing.map((path) => `${path}: ${before.get(path)} -> ${now.get(path)}`),
    [],
  )
}

async function notHere(): Promise<never> {
  throw new Error('There is no service in this test')
}

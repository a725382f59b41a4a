import { type ChildProcess, execFileSync, spawn } from 'node:child_process'
import { once } from 'node:events'
import { mkdirSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs'
import { type AddressInfo, connect, createServer } from 'node:net'
import { tmpdir, userInfo } from 'node:os'
import { join } from 'node:path'
import { createInterface } from 'node:readline'
import { systemClock } from '../lib/clock.ts'
import { generateKeyPair } from './keys.ts'
import type { SshTarget } from './session.ts'

const POLL_MS = 20
const UP_WITHIN_MS = 5_000

/**
 * A real dropbear on a port of 127.0.0.1, for tests, with host keys and authorized_keys of its own: it runs in a mount namespace
 * where /etc/passwd gives this user another home. It runs in a pid namespace, too, under a shell that takes orders and ends with
 * our end of its stdin; when that shell ends, the kernel ends all that came of it.
 */
export class TestDropbear implements AsyncDisposable {
  readonly directory = mkdtempSync(join(tmpdir(), 'cbtor-ssh-'))
  readonly user = userInfo().username
  readonly privateKey: string
  /** `SHA256:…` of its ed25519 host key, by dropbearkey's own account. */
  readonly hostKey: string
  /** $HOME of the commands that it runs. */
  readonly home = join(this.directory, 'home')
  port = 0
  /** What it has logged, a line each. */
  readonly log: string[] = []
  #shell: ChildProcess | undefined

  static async start(): Promise<TestDropbear> {
    const dropbear = new TestDropbear()
    try {
      await dropbear.#boot()
    } catch (error) {
      await dropbear[Symbol.asyncDispose]()
      throw error
    }
    return dropbear
  }

  private constructor() {
    const { privateKey, authorizedKey } = generateKeyPair()
    this.privateKey = privateKey
    mkdirSync(join(this.home, '.ssh'), { recursive: true, mode: 0o700 })
    writeFileSync(join(this.home, '.ssh/authorized_keys'), `${authorizedKey}\n`, { mode: 0o600 })
    const { username, uid, gid } = userInfo()
    writeFileSync(this.#path('passwd'), `${username}:x:${uid}:${gid}::${this.home}:/bin/sh\n`)
    this.hostKey = this.makeHostKey()
  }

  get target(): SshTarget {
    const { user, port, hostKey, privateKey } = this
    return { user, host: '127.0.0.1', port, hostKey, privateKey }
  }

  /** Makes a new host key, for the next boot, and gives its fingerprint. */
  makeHostKey(): string {
    rmSync(this.#path('host_key'), { force: true })
    const told = execFileSync('dropbearkey', ['-t', 'ed25519', '-f', this.#path('host_key')], {
      encoding: 'utf8',
      stdio: ['ignore', 'pipe', 'ignore'],
    })
    const fingerprint = /SHA256:[A-Za-z0-9+/]+/.exec(told)?.[0]
    if (fingerprint === undefined) throw new Error(`dropbearkey gave no fingerprint: ${told}`)
    return fingerprint
  }

  /** Stops it and all its sessions where they are, and lets them go on. */
  freeze(): void {
    this.#order('kill -STOP -1')
  }

  thaw(): void {
    this.#order('kill -CONT -1')
  }

  /** Kills it and all its sessions; nobody listens on its port any more when this resolves. */
  async kill(): Promise<void> {
    const shell = this.#shell
    this.#shell = undefined
    if (shell === undefined || shell.exitCode !== null || shell.signalCode !== null) return
    const gone = once(shell, 'exit')
    shell.stdin?.write('trap - EXIT\n')
    // The kernel does the killing when the first process of a pid namespace has ended.
    shell.stdin?.end()
    await gone
  }

  /** After `kill`: on the same port. */
  async boot(): Promise<void> {
    await this.#boot()
  }

  /** Resolves when as many lines of its log match. */
  async logged(pattern: RegExp, count = 1): Promise<void> {
    const giveUpAt = systemClock.monotonic() + UP_WITHIN_MS
    while (this.count(pattern) < count) {
      if (systemClock.monotonic() > giveUpAt)
        throw new Error(`dropbear did not log ${count} times ${pattern}: ${this.log.join(' / ')}`)
      await systemClock.sleep(POLL_MS)
    }
  }

  /** How many lines of its log match so far. */
  count(pattern: RegExp): number {
    return this.log.filter((line) => pattern.test(line)).length
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.kill()
    rmSync(this.directory, { recursive: true, force: true })
  }

  async #boot(): Promise<void> {
    // Another program may take a port between our looking and dropbear's listening; a boot on a given port has no choice.
    const port = this.port
    for (let tries = 0; ; tries++) {
      this.port = port || (await freePort())
      if (await this.#listens()) return
      await this.kill()
      if (tries === 3) throw new Error(`Cannot start dropbear on port ${this.port}: ${this.log.slice(-5).join(' / ')}`)
    }
  }

  async #listens(): Promise<boolean> {
    const { uid, gid } = userInfo()
    // To mount takes root, real or of a user namespace; there, another one inside makes dropbear this user again.
    const [root, own] = uid === 0 ? [[], ''] : [['--map-root-user'], `unshare --map-user=${uid} --map-group=${gid} `]
    const shell = spawn('unshare', [...root, '--mount', '--pid', '--fork', '--kill-child', 'sh'])
    this.#shell = shell
    shell.stdin.on('error', () => {})
    const said: string[] = []
    for (const output of [shell.stdout, shell.stderr])
      createInterface({ input: output }).on('line', (line) => {
        said.push(line)
        this.log.push(line)
      })
    // Also when this process is killed.
    this.#order(`trap 'rm -rf "${this.directory}"' EXIT`)
    this.#order(`mount --bind '${this.#path('passwd')}' /etc/passwd || exit`)
    const options = `-F -E -s -r '${this.#path('host_key')}' -P '${this.#path('pid')}' -p 127.0.0.1:${this.port}`
    this.#order(`${own}dropbear ${options} </dev/null &`)
    const giveUpAt = systemClock.monotonic() + UP_WITHIN_MS
    while (systemClock.monotonic() < giveUpAt && shell.exitCode === null) {
      if (said.some((line) => /Failed listening|not found/.test(line))) return false
      if (await answers(this.port)) return true
      await systemClock.sleep(POLL_MS)
    }
    return false
  }

  #order(line: string): void {
    this.#shell?.stdin?.write(`${line}\n`)
  }

  #path(name: string): string {
    return join(this.directory, name)
  }
}

async function freePort(): Promise<number> {
  const server = createServer().listen(0, '127.0.0.1')
  await once(server, 'listening')
  const { port } = server.address() as AddressInfo
  server.close()
  await once(server, 'close')
  return port
}

/** Whether an SSH server greets at `port`. */
function answers(port: number): Promise<boolean> {
  const { promise, resolve } = Promise.withResolvers<boolean>()
  const socket = connect(port, '127.0.0.1')
  socket.on('error', () => resolve(false))
  socket.on('close', () => resolve(false))
  socket.on('data', (chunk) => resolve(chunk.toString('latin1').startsWith('SSH-2.0-')))
  return promise.finally(() => socket.destroy())
}

import { type ChildProcess, execFile, spawn } from 'node:child_process'
import { existsSync } from 'node:fs'
import { chmod, cp, mkdir, mkdtemp, rm, symlink, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { createInterface } from 'node:readline'
import { fileURLToPath } from 'node:url'
import { promisify } from 'node:util'
import type { TorNetwork } from '../../../src/testnet/network.ts'
import { openwrtBusybox } from '../busybox/busybox.ts'
import type { BoxSpec, Command, RunResult, TorPlan, TorVerb } from './protocol.ts'

const OPENWRT = fileURLToPath(new URL('../../../openwrt/', import.meta.url))
const INSIDE = fileURLToPath(new URL('inside.ts', import.meta.url))

/** Short waits, so that a test takes seconds; what answers has time to, on a busy machine, too. */
export const QUICK = {
  TEST_TIMEOUT: 3,
  NEWNYM_WAIT: 1,
  RESTART_WAIT: 1,
  RECOVERY_WAIT: 900,
  BOOTSTRAP_WAIT: 1,
  OFFLINE_CHECK: 180,
}

const INIT = `#!/bin/sh
exit "$(echo "$1" | nc 127.0.0.1 9999)"
`

export interface BoxOptions {
  /** The text of health.conf; `QUICK` unless told. */
  readonly conf?: string
  readonly sites?: string
  readonly hasCurl?: boolean
  readonly plan?: Partial<TorPlan>
  /** Where a real tor is a client; without one, Tor is scripted. */
  readonly network?: TorNetwork
}

/**
 * A box as the health check sees it: the root of an OpenWrt with nothing but its busybox and the script, the ports of a Tor,
 * and its init script. In namespaces of its own, so that many can be at once. Needs no privileges.
 */
export class HealthBox implements AsyncDisposable {
  readonly #child: ChildProcess
  readonly #root: string
  readonly #ended: Promise<unknown>
  readonly #ready = Promise.withResolvers<unknown>()
  readonly #waiting = new Map<number, PromiseWithResolvers<unknown>>()
  #commands = 0
  #errors = ''

  static async create(options: BoxOptions = {}): Promise<HealthBox> {
    await using parts = new AsyncDisposableStack()
    const root = await mkdtemp(join(tmpdir(), 'cbtor-health-'))
    parts.defer(() => rm(root, { recursive: true, force: true }))
    const box = parts.use(new HealthBox(await furnish(root, options), options.network))
    await box.#ready.promise
    if (options.plan) await box.plan(options.plan)
    parts.move()
    return box
  }

  private constructor(spec: BoxSpec, network: TorNetwork | undefined) {
    this.#root = spec.root
    // In the network's namespaces we are root; elsewhere we become it.
    const [program = '', ...args] = network
      ? [...network.clientCommand().slice(0, -1), 'unshare', ...NAMESPACES]
      : ['unshare', '--map-root-user', '--net', ...NAMESPACES]
    this.#child = spawn(program, [...args, process.execPath, INSIDE, JSON.stringify(spec)], {
      stdio: ['pipe', 'pipe', 'pipe'],
    })
    this.#waiting.set(0, this.#ready)
    this.#child.stdin?.on('error', () => {})
    this.#child.stderr?.setEncoding('utf8').on('data', (text: string) => {
      this.#errors = (this.#errors + text).slice(-4000)
    })
    if (this.#child.stdout) createInterface(this.#child.stdout).on('line', (line) => this.#onAnswer(line))
    this.#ended = new Promise((resolve) => {
      this.#child.on('error', resolve)
      this.#child.on('close', resolve)
    }).then(() => {
      for (const { reject } of this.#waiting.values()) reject(new Error(`The box has ended: ${this.#errors}`))
    })
  }

  /** One run of the script, as cron starts it. */
  async run(): Promise<RunResult> {
    return (await this.#call({ type: 'run' })) as RunResult
  }

  /** What a shell of the box prints. */
  async sh(script: string): Promise<string> {
    const { stdout } = (await this.#call({ type: 'sh', script })) as { stdout: string }
    return stdout
  }

  async plan(plan: Partial<TorPlan>): Promise<void> {
    const whole: TorPlan = { tests: ['answers'], control: 'obeys', starts: true, enabled: true, ...plan }
    await this.#call({ type: 'plan', plan: whole })
  }

  /** Does to Tor what somebody else than the script might do. */
  async tor(verb: TorVerb): Promise<void> {
    await this.#call({ type: 'tor', verb })
  }

  async torPid(): Promise<number | null> {
    return (await this.#call({ type: 'torPid' })) as number | null
  }

  /** Resolves when Tor has been up for so long. */
  async grown(seconds = 2): Promise<void> {
    await this.#call({ type: 'grown', seconds })
  }

  /** The status file, by its keys. */
  async status(): Promise<Record<string, string>> {
    return statusOf(await this.sh('cat /var/run/tor/health-status'))
  }

  async log(): Promise<string> {
    return await this.sh('cat /var/log/tor-health.log')
  }

  /** Makes the status say that something began so many seconds ago. */
  async backdate(key: 'since' | 'tried', seconds: number): Promise<void> {
    await this.sh(`sed -i "s/^${key}=.*/${key}=$(($(date +%s) - ${seconds}))/" /var/run/tor/health-status`)
  }

  async [Symbol.asyncDispose](): Promise<void> {
    this.#child.stdin?.end()
    await this.#ended
    await rm(this.#root, { recursive: true, force: true })
  }

  async #call(command: Command): Promise<unknown> {
    const id = ++this.#commands
    const answer = Promise.withResolvers<unknown>()
    this.#waiting.set(id, answer)
    this.#child.stdin?.write(`${JSON.stringify({ id, command })}\n`)
    return await answer.promise
  }

  #onAnswer(line: string): void {
    const { id, result, error } = JSON.parse(line)
    const waiting = this.#waiting.get(id)
    this.#waiting.delete(id)
    if (error === undefined) waiting?.resolve(result)
    else waiting?.reject(new Error(error))
  }
}

export function statusOf(text: string): Record<string, string> {
  return Object.fromEntries(text.split('\n').flatMap((line) => (line ? [line.split(/=(.*)/s, 2)] : [])))
}

export function conf(settings: Readonly<Record<string, number>>): string {
  return Object.entries(settings)
    .map(([key, value]) => `${key}=${value}\n`)
    .join('')
}

/** Where a program of this machine finds its libraries. */
const LIBRARIES = ['/usr/lib', '/usr/lib64']
const NAMESPACES = ['--mount', '--pid', '--fork', '--kill-child', '--']

async function furnish(
  root: string,
  { conf: text = conf(QUICK), sites, hasCurl, network }: BoxOptions,
): Promise<BoxSpec> {
  const busybox = await openwrtBusybox()
  const { stdout } = await promisify(execFile)(busybox, ['--list'])
  for (const directory of 'bin dev etc/cbtor etc/init.d etc/tor proc tmp usr/bin usr/lib usr/lib64 usr/local/bin'.split(
    ' ',
  ))
    await mkdir(join(root, directory), { recursive: true })
  for (const link of ['lib', 'lib64']) await symlink(`usr/${link}`, join(root, link))
  await symlink('tmp', join(root, 'var'))
  await cp(busybox, join(root, 'bin/busybox'))
  for (const applet of stdout.trim().split('\n'))
    if (applet !== 'busybox') await symlink('busybox', join(root, 'bin', applet))

  await cp(join(OPENWRT, 'tor-health-check.sh'), join(root, 'usr/local/bin/tor-health-check.sh'))
  await cp(join(OPENWRT, 'VERSION'), join(root, 'etc/cbtor/version'))
  if (sites === undefined) await cp(join(OPENWRT, 'onion-test-sites.txt'), join(root, 'etc/tor/onion-test-sites.txt'))
  else await writeFile(join(root, 'etc/tor/onion-test-sites.txt'), sites)
  await writeFile(join(root, 'etc/cbtor/health.conf'), text)
  await writeFile(join(root, 'etc/init.d/tor'), INIT)
  await chmod(join(root, 'etc/init.d/tor'), 0o755)

  const binds = ['/dev/null', '/dev/urandom']
  if (hasCurl) binds.push('/usr/bin/curl', ...LIBRARIES.filter((path) => existsSync(path)))
  for (const path of binds) if (!LIBRARIES.includes(path)) await writeFile(join(root, path), '')
  return {
    root,
    binds,
    tmpBytes: network ? 64 << 20 : 256 << 10,
    ...(network && { torrc: await writeTorrc(root, network) }),
  }
}

async function writeTorrc(root: string, network: TorNetwork): Promise<string> {
  const path = join(root, 'torrc')
  const lines = [
    ...network.clientTorrc(),
    `DataDirectory ${root}/tmp/lib/tor`,
    'SocksPort 127.0.0.1:9050 IsolateClientAddr IsolateSOCKSAuth KeepAliveIsolateSOCKSAuth ExtendedErrors',
    'ControlPort 127.0.0.1:9051',
    'CookieAuthentication 1',
    'ConfluxEnabled 0',
  ]
  await writeFile(path, `${lines.join('\n')}\n`)
  return path
}

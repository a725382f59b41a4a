import { dirname } from 'node:path/posix'
import type { SshCommand } from '../../ssh/command.ts'
import { SshError } from '../../ssh/errors.ts'
import type { CommandResult } from '../../ssh/exec.ts'
import type { CommandRunner } from '../../ssh/script.ts'
import { sha256Of } from '../remote/box-shell.ts'
import * as file from '../remote/file-commands.ts'
import * as system from '../remote/system-commands.ts'
import { findSection, listOf } from '../uci-text.ts'

interface FakeFile {
  readonly text: string
  readonly mode: number
}

/** What happens to the command of a number, counted from 1. */
export interface Mishap {
  readonly at: number
  /** The connection is lost after the command, or the command does nothing and fails. */
  readonly kind: 'lost-after' | 'fails'
}

type Answer = string | { readonly code: number; readonly stdout?: string }
type Stdin = { readonly lines: readonly string[]; readonly bytes: Buffer }

const BARE_FILES: Readonly<Record<string, string>> = {
  '/etc/openwrt_release': "DISTRIB_ID='OpenWrt'\n",
  '/etc/config/network': "# mine\nconfig interface 'wan'\n\toption proto 'dhcp'\n",
  '/etc/config/firewall': "config defaults\n\toption input 'REJECT'\n\n",
  '/etc/passwd': 'root:x:0:0:root:/root:/bin/ash\n',
  '/etc/group': 'root:x:0:\n',
  '/etc/sysupgrade.conf': '## what to keep\n',
  '/etc/crontabs/root': '0 4 * * * /root/mine',
}
const TOR_FILES: Readonly<Record<string, string>> = {
  '/etc/tor/torrc': 'User tor\n',
  '/etc/config/tor': "config tor 'conf'\n\toption default '/etc/tor/torrc'\n",
}
const DEPENDENCIES: Readonly<Record<string, readonly string[]>> = { tor: ['libevent2'], 'wireguard-tools': [] }

/** A box in memory: files, packages and services, as the installer's commands see them. */
export class FakeBox implements CommandRunner {
  readonly files = new Map<string, FakeFile>()
  readonly directories = new Set(['/', '/etc', '/etc/config', '/etc/crontabs', '/usr'])
  readonly packages = new Set(['busybox', 'dropbear'])
  readonly enabled = new Set(['cron'])
  readonly running = new Set(['cron'])
  /** How it was changed by commands, in order: `tor restart` and the like. */
  readonly services: string[] = []
  freeKb = 40_000
  clockS = 1_000
  opkgFailure: string | undefined
  refusesTorrc = false
  /** Another machine that is at work. */
  heldBy: string | undefined
  mishap: Mishap | undefined
  commands = 0
  #network = ''
  readonly #answers = new Map<SshCommand, (stdin: Stdin) => Answer>(this.#table())

  constructor() {
    for (const [path, text] of Object.entries(BARE_FILES)) this.put(path, text)
  }

  put(path: string, text: string, mode = 0o644): void {
    this.files.set(path, { text, mode })
    for (let above = dirname(path); above !== '/'; above = dirname(above)) this.directories.add(above)
  }

  text(path: string): string | undefined {
    return this.files.get(path)?.text
  }

  /** All that an uninstall has to bring back. */
  snapshot() {
    return {
      files: Object.fromEntries([...this.files].sort(([a], [b]) => (a < b ? -1 : 1))),
      directories: [...this.directories].sort(),
      packages: [...this.packages].sort(),
      enabled: [...this.enabled].sort(),
      hasTunnel: this.#network.includes("'wg0'"),
    }
  }

  async run(
    command: SshCommand,
    { stdin = '' }: { stdin?: string | Uint8Array },
    signal: AbortSignal,
  ): Promise<CommandResult> {
    signal.throwIfAborted()
    const mishap = ++this.commands === this.mishap?.at ? this.mishap.kind : undefined
    if (mishap === 'fails') return { code: 1, stdout: '', stderr: 'it does not work' }
    const bytes = Buffer.from(stdin)
    const answer = this.#answers.get(command)?.({ bytes, lines: bytes.toString('latin1').split('\n').slice(0, -1) })
    if (answer === undefined) throw new Error(`The fake box does not know the command: ${command}`)
    if (mishap === 'lost-after') throw new SshError('ended', 'Cannot run a command: the connection was lost')
    const { code, stdout = '' } = typeof answer === 'string' ? { code: 0, stdout: answer } : answer
    return { code, stdout, stderr: '' }
  }

  #table(): [SshCommand, (stdin: Stdin) => Answer][] {
    return [
      [file.READ_FILES, ({ lines }) => lines.map((path) => `${this.#describe(path)}\n`).join('')],
      [file.WRITE_FILE, ({ lines, bytes }) => this.#write(lines, bytes)],
      [file.COPY_FILES, ({ lines }) => this.#copyAll(lines)],
      [file.RESTORE_FILE, ({ lines: [path = '', copy = ''] }) => this.#copy(copy, path)],
      [
        file.REMOVE_FILES,
        ({ lines }) =>
          silent(() => {
            for (const path of lines) this.files.delete(path)
          }),
      ],
      [file.MISSING_DIRECTORIES, ({ lines }) => lines.filter((path) => !this.directories.has(path)).join('\n')],
      [
        file.MAKE_DIRECTORIES,
        ({ lines }) =>
          silent(() => {
            for (const path of lines) this.directories.add(path)
          }),
      ],
      [
        file.REMOVE_EMPTY_DIRECTORIES,
        ({ lines }) =>
          silent(() => {
            for (const path of lines) this.#removeDirectory(path)
          }),
      ],
      [file.LIST_TORRC_DIRECTORY, () => ''],
      [
        file.REMOVE_JOURNAL,
        () => silent(() => this.#removeUnder('/etc/cbtor/backup', '/etc/cbtor/before', '/etc/cbtor/install.json')),
      ],
      [file.REMOVE_COPIES_OF_RUN, () => silent(() => this.#removeUnder('/etc/cbtor/before'))],
      [system.TAKE_TURN, () => (this.heldBy === undefined ? '' : { code: system.TURN_TAKEN, stdout: this.heldBy })],
      [system.FACTS, () => this.#facts()],
      [system.WAIT_FOR_PACKAGE_MANAGER, () => ''],
      [system.LIST_PACKAGES.opkg, () => [...this.packages].join('\n')],
      [system.INSTALL_PACKAGES.opkg, ({ lines }) => this.#install(lines)],
      [system.REMOVE_PACKAGES.opkg, ({ lines }) => silent(() => this.#uninstall(lines))],
      [system.REMOVE_TRACES_OF_TOR, () => ''],
      [system.TUNNEL_DOWN, () => this.#serve('wg0 down')],
      [system.TUNNEL_UP, () => this.#serve('network reload')],
      [system.RELOAD_NETWORK, () => this.#serve('network reload')],
      [system.TUNNEL_STATE, () => (this.#network.includes("'wg0'") ? 'up' : 'down')],
      [system.RELOAD_FIREWALL, () => this.#serve('firewall reload')],
      [system.ENABLE_CRON, () => this.#serve('cron start')],
      [system.RESTART_CRON, () => this.#serve('cron restart')],
      [system.DISABLE_CRON, () => this.#serve('cron stop')],
      [system.ENABLE_TOR, () => this.#serve('tor start')],
      [system.RESTART_TOR, () => this.#serve('tor restart')],
      [system.STOP_AND_DISABLE_TOR, () => this.#serve('tor stop')],
      [system.VERIFY_TORRC, () => (this.refusesTorrc ? { code: 1, stdout: '[warn] Unknown option "Sosk"\n' } : '')],
      [system.RUNNING, () => this.#runningFacts()],
    ]
  }

  #describe(path: string): string {
    const found = this.files.get(path)
    if (!found) return 'absent'
    const bytes = Buffer.from(found.text, 'latin1')
    const letters = [...'rwxrwxrwx'].map((letter, index) => (found.mode & (0o400 >> index) ? letter : '-')).join('')
    return `-${letters} ${sha256Of(bytes)} ${bytes.toString('hex')}`
  }

  #write([path = '', mode = '', from = '', sha = '', ...copies]: readonly string[], bytes: Buffer): Answer {
    const head = [path, mode, from, sha, ...copies.slice(0, 2)].map((line) => line.length + 1).reduce((a, b) => a + b)
    const content = bytes.subarray(head)
    const current = this.files.get(path)
    if (sha256Of(content) !== sha) return { code: file.WRITE_INCOMPLETE }
    const now = current ? sha256Of(Buffer.from(current.text, 'latin1')) : 'absent'
    if (now !== from) return { code: file.WRITE_CHANGED }
    if (!this.directories.has(dirname(path))) return { code: 1 }
    for (const copy of copies.slice(0, 2)) if (copy !== '-' && current) this.put(copy, current.text, current.mode)
    this.put(path, content.toString('latin1'), Number.parseInt(mode, 8))
    return ''
  }

  #copyAll(lines: readonly string[]): Answer {
    for (let index = 0; index < lines.length; index += 2) this.#copy(lines[index] ?? '', lines[index + 1] ?? '')
    return ''
  }

  #copy(from: string, to: string): Answer {
    const found = this.files.get(from)
    if (!found) return { code: 1 }
    this.put(to, found.text, found.mode)
    return ''
  }

  #removeDirectory(path: string): void {
    const isUsed = [...this.files.keys(), ...this.directories].some((other) => other.startsWith(`${path}/`))
    if (!isUsed) this.directories.delete(path)
  }

  #removeUnder(...paths: readonly string[]): void {
    const isGone = (path: string) => paths.some((gone) => path === gone || path.startsWith(`${gone}/`))
    for (const path of [...this.files.keys()].filter(isGone)) this.files.delete(path)
    for (const path of [...this.directories].filter(isGone)) this.directories.delete(path)
  }

  #facts(): string {
    const services = ['cron', ...(this.packages.has('tor') ? ['tor'] : [])]
    return [
      ...(this.files.has('/etc/openwrt_release') ? ['openwrt OpenWrt 24.10.0 test'] : []),
      'uid 0',
      'packages opkg',
      `free_kb ${this.freeKb}`,
      `clock ${this.clockS}`,
      'connection 192.0.2.2 40000 192.0.2.11 22',
      ...(this.#network.includes("'wg0'") ? ['wg0 present'] : []),
      ...([...this.files.keys()].some((path) => path.startsWith('/etc/cbtor/')) ? ['directory present'] : []),
      ...services.flatMap((name) => [
        ...(this.enabled.has(name) ? [`enabled ${name}`] : []),
        ...(this.running.has(name) ? [`running ${name}`] : []),
      ]),
      '',
    ].join('\n')
  }

  #runningFacts(): string {
    const wg0 = findSection(this.#network, 'wg0')
    const peer = findSection(this.#network, 'cbtor_peer')
    return [
      ...(this.running.has('tor')
        ? ['tor 77', ...[9050, 9040, 9051].map((port) => `listens tcp 0.0.0.0:${port}`), 'listens udp 0.0.0.0:9053']
        : []),
      ...(this.running.has('cron') ? ['crond 78'] : []),
      ...(wg0 ? ['wg0 present', `address ${listOf(wg0.options.get('addresses')).join('')}`] : []),
      `wireguard ${wg0?.options.get('listen_port') ?? ''} ${peer?.options.get('public_key') ?? ''}`,
      'forwarding 0',
      'lock holds',
      'redirect 9040',
      'redirect 9053',
    ].join('\n')
  }

  #install(names: readonly string[]): Answer {
    if (this.opkgFailure !== undefined) return { code: 255, stdout: this.opkgFailure }
    for (const name of names) for (const one of [name, ...(DEPENDENCIES[name] ?? [])]) this.packages.add(one)
    if (!names.includes('tor')) return ''
    for (const [path, text] of Object.entries(TOR_FILES)) if (!this.files.has(path)) this.put(path, text)
    if (!this.text('/etc/passwd')?.includes('tor:'))
      this.put('/etc/passwd', `${this.text('/etc/passwd')}tor:x:52:52::/:\n`)
    this.enabled.add('tor')
    this.running.add('tor')
    return ''
  }

  #uninstall(names: readonly string[]): void {
    for (const name of names) this.packages.delete(name)
    if (!names.includes('tor')) return
    for (const [path, text] of Object.entries(TOR_FILES)) if (this.text(path) === text) this.files.delete(path)
    this.#removeDirectory('/etc/tor')
    this.enabled.delete('tor')
    this.running.delete('tor')
  }

  #serve(what: string): Answer {
    this.services.push(what)
    const [name = '', verb] = what.split(' ')
    if (verb === 'start') this.enabled.add(name)
    if (verb === 'stop') this.enabled.delete(name)
    if (verb === 'stop') this.running.delete(name)
    else if (name === 'tor' || name === 'cron') this.running.add(name)
    if (what === 'wg0 down') this.#network = ''
    if (what === 'network reload') this.#network = this.text('/etc/config/network') ?? ''
    return ''
  }
}

function silent(action: () => void): string {
  action()
  return ''
}

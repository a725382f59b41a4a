import type { PackageManager } from '../box-file.ts'
import type { BoxShell } from '../remote/box-shell.ts'
import { LIST_TORRC_DIRECTORY } from '../remote/file-commands.ts'
import { FACTS, LIST_PACKAGES } from '../remote/system-commands.ts'
import { findSection, listOf, parseUci } from '../uci-text.ts'

/** What a box is before anything is done to it. */
export interface BoxFacts {
  /** Name, release and target, or undefined if it is no OpenWrt. */
  readonly release: string | undefined
  readonly isRoot: boolean
  readonly packageManager: PackageManager | undefined
  readonly packages: ReadonlySet<string>
  /** Where /etc is. */
  readonly freeKb: number
  /** Seconds since the epoch. */
  readonly clockS: number
  /** The two ends of the SSH connection as the box sees them, or undefined if it does not tell. */
  readonly connection: { readonly hostAddress: string; readonly boxAddress: string } | undefined
  readonly hasTunnelInterface: boolean
  /** Something is in /etc/cbtor. */
  readonly hasOurDirectory: boolean
  readonly enabled: ReadonlySet<string>
  readonly running: ReadonlySet<string>
  /** IPv4 addresses with their prefix length. */
  readonly addresses: readonly { readonly interfaceName: string; readonly address: string }[]
  readonly listeners: readonly Listener[]
  /** Texts of the configuration files in /etc/config, by path; those that are not there are left out. */
  readonly configs: ReadonlyMap<string, string>
  /** Texts of the torrc files, by path. */
  readonly torrcs: ReadonlyMap<string, string>
}

export interface Listener {
  readonly protocol: 'tcp' | 'udp'
  readonly port: number
  /** Name of the program, where the box tells. */
  readonly program: string | undefined
}

export const CONFIGS = ['/etc/config/network', '/etc/config/firewall', '/etc/config/tor'] as const
const TORRC = '/etc/tor/torrc'
const TORRC_DIRECTORY = '/etc/tor/torrc.d'

export async function readFacts(box: BoxShell): Promise<BoxFacts> {
  const facts = factLines(await box.lines('look at the box', FACTS))
  const of = (name: string) => facts.filter(([fact]) => fact === name).map(([, value]) => value)
  const [manager] = of('packages')
  const packageManager = manager === 'opkg' || manager === 'apk' ? manager : undefined
  const configs = await textsOf(box, CONFIGS)
  const included = await box.lines('look at the torrc', LIST_TORRC_DIRECTORY)
  const conf = findSection(configs.get('/etc/config/tor') ?? '', 'conf')
  const torrcs = await textsOf(box, [
    ...new Set([
      ...(['default', 'head_include', 'tail_include'] as const).flatMap((key) => listOf(conf?.options.get(key))),
      TORRC,
      ...included.map((name) => `${TORRC_DIRECTORY}/${name}`),
    ]),
  ])
  const [hostAddress, , boxAddress] = of('connection')[0]?.split(' ') ?? []
  return {
    release: of('openwrt')[0],
    isRoot: of('uid')[0] === '0',
    packageManager,
    packages: new Set(packageManager && (await box.lines('list the packages', LIST_PACKAGES[packageManager]))),
    freeKb: Number(of('free_kb')[0]),
    clockS: Number(of('clock')[0]),
    connection: hostAddress && boxAddress ? { hostAddress, boxAddress } : undefined,
    hasTunnelInterface: of('wg0').length > 0,
    hasOurDirectory: of('directory').length > 0,
    enabled: new Set(of('enabled')),
    running: new Set(of('running')),
    addresses: of('address').map((text) => {
      const [interfaceName = '', address = ''] = text.split(' ')
      return { interfaceName, address }
    }),
    listeners: of('listens').flatMap((text) => parseListener(text) ?? []),
    configs,
    torrcs,
  }
}

/** `name value` lines. */
export function factLines(lines: readonly string[]): readonly (readonly [name: string, value: string])[] {
  return lines.map((line) => {
    const at = line.indexOf(' ')
    return at === -1 ? [line, ''] : [line.slice(0, at), line.slice(at + 1).trim()]
  })
}

/** Of a line of `netstat -ltunp`: protocol, local address, and whatever follows, the program among it. */
export function parseListener(text: string): Listener | undefined {
  const [protocol = '', local = '', ...rest] = text.split(/\s+/)
  const port = Number(local.slice(local.lastIndexOf(':') + 1))
  if (!Number.isInteger(port)) return undefined
  const program = rest.map((word) => /^\d+\/(.+)$/.exec(word)?.[1]).find((name) => name !== undefined)
  return { protocol: protocol.startsWith('udp') ? 'udp' : 'tcp', port, program }
}

/** Sections of /etc/config/network that are WireGuard interfaces. */
export function wireguardInterfaces(network: string) {
  return parseUci(network)
    .filter(({ type, options }) => type === 'interface' && options.get('proto') === 'wireguard')
    .map(({ name, options }) => ({ name, listenPort: Number(options.get('listen_port')) }))
}

async function textsOf(box: BoxShell, paths: readonly string[]): Promise<ReadonlyMap<string, string>> {
  const files = await box.readAll(paths)
  return new Map([...files].map(([path, { text }]) => [path, text]))
}

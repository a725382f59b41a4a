import { TunnelError } from './errors.ts'
import type { CommandOutput, Host, HostCommand } from './host.ts'
import { hasLock } from './lock.ts'
import { KILL_SWITCH_METRIC } from './routes.ts'
import type { TunnelNames } from './spec.ts'
import { parseWireguardDump, type WireguardState } from './wireguard-config.ts'

/** What there is of a tunnel on this machine. */
export interface Observed {
  readonly link: ObservedLink | undefined
  /** Undefined when there is no interface, or nothing that speaks for WireGuard behind it. */
  readonly wireguard: WireguardState | undefined
  readonly defaultRoute: boolean
  readonly killSwitch: boolean
  readonly rule: boolean
  readonly identityRanges: readonly string[]
  readonly lock: boolean
  /** Routes in our table and rules of our priority that are not ours, as text. */
  readonly strangers: readonly string[]
}

export interface ObservedLink {
  readonly isUp: boolean
  readonly mtu: number
  /** A text that belongs to the interface: how we know our own. */
  readonly alias: string | undefined
  /** `wireguard`, or `tun` when WireGuard is in user space. */
  readonly kind: string | undefined
  /** IPv4, as `10.201.1.2/24`. */
  readonly addresses: readonly string[]
}

/** Looks at all of it at once. Rejects with a `TunnelError` when a program is missing or says what we do not understand. */
export async function observe(names: TunnelNames, host: Host, signal: AbortSignal): Promise<Observed> {
  const run = (program: HostCommand['program'], ...args: string[]) => host.run({ program, args }, signal)
  const [link, table, rules, local, lock, dump] = await Promise.all([
    run('ip', '-j', '-d', 'addr', 'show', 'dev', names.interfaceName),
    run('ip', '-j', '-4', 'route', 'show', 'table', String(names.table)),
    run('ip', '-N', '-j', '-4', 'rule', 'show'),
    run('ip', '-j', '-4', 'route', 'show', 'table', 'local'),
    run('nft', '-j', 'list', 'table', 'inet', names.lockTable),
    run('wg', 'show', names.interfaceName, 'dump').catch(silentIfLate),
  ])
  const observedLink = parseLink(link)
  const routes = parse<Route>('ip route', table, /FIB table does not exist/)
  const ourRules = parse<Rule>('ip rule', rules).filter((rule) => isNear(names, rule))
  return {
    link: observedLink,
    wireguard: observedLink === undefined || dump === undefined || dump.code !== 0 ? undefined : wireguard(dump),
    defaultRoute: routes.some((route) => isDefault(names, route)),
    killSwitch: routes.some(isKillSwitch),
    rule: ourRules.some((rule) => isOurs(names, rule)),
    identityRanges: parse<Route>('ip route', local)
      .filter(({ type, dst }) => type === 'local' && names.identityRanges.includes(dst ?? ''))
      .map(({ dst = '' }) => dst),
    lock: lock.code === 0 && hasLock(lock.stdout),
    strangers: [
      ...routes
        .filter((route) => !isDefault(names, route) && !isKillSwitch(route))
        .map((route) => routeText(names, route)),
      ...ourRules.filter((rule) => !isOurs(names, rule)).map(ruleText),
    ],
  }
}

interface Link {
  readonly flags?: readonly string[]
  readonly mtu?: number
  readonly ifalias?: string
  readonly linkinfo?: { readonly info_kind?: string }
  readonly addr_info?: readonly { readonly family?: string; readonly local?: string; readonly prefixlen?: number }[]
}

interface Route {
  readonly type?: string
  readonly dst?: string
  readonly dev?: string
  readonly metric?: number
}

interface Rule {
  readonly priority?: number
  readonly src?: string
  readonly srclen?: number
  readonly table?: string
}

/** What says more than from where and whereto: such a rule is not ours. */
const RULE_FIELDS = new Set(['priority', 'src', 'srclen', 'table', 'protocol'])

function parseLink(output: CommandOutput): ObservedLink | undefined {
  const link = parse<Link>('ip addr', output, /does not exist/).find(({ flags }) => flags !== undefined)
  if (link === undefined) return undefined
  return {
    isUp: link.flags?.includes('UP') ?? false,
    mtu: link.mtu ?? 0,
    alias: link.ifalias,
    kind: link.linkinfo?.info_kind,
    addresses: (link.addr_info ?? [])
      .filter(({ family }) => family === 'inet')
      .map(({ local, prefixlen }) => `${local}/${prefixlen}`),
  }
}

function wireguard({ stdout }: CommandOutput): WireguardState | undefined {
  try {
    return parseWireguardDump(stdout)
  } catch {
    return undefined
  }
}

function parse<T>(what: string, { code, stdout, stderr }: CommandOutput, isNothing?: RegExp): readonly T[] {
  if (code !== 0 && isNothing?.test(stderr)) return []
  try {
    if (code === 0) return stdout.trim() === '' ? [] : (JSON.parse(stdout) as T[])
  } catch {
    throw new TunnelError(
      'not-installed',
      `Cannot read what "${what}" says: it does not speak JSON. Install iproute2; the ip of busybox cannot do it`,
    )
  }
  throw new TunnelError(
    'failed',
    `Cannot look at the tunnel: "${what}" failed: ${stderr.trim() || `exit code ${code}`}`,
  )
}

/** A process behind the interface that does not answer is as good as none. */
function silentIfLate(error: unknown): undefined {
  if (error instanceof TunnelError && error.fault === 'failed') return undefined
  throw error
}

function isDefault({ interfaceName }: TunnelNames, { type, dst, dev }: Route): boolean {
  return (type ?? 'unicast') === 'unicast' && dst === 'default' && dev === interfaceName
}

function isKillSwitch({ type, dst, metric }: Route): boolean {
  return type === 'unreachable' && dst === 'default' && metric === KILL_SWITCH_METRIC
}

function isNear({ table }: TunnelNames, rule: Rule): boolean {
  return rule.priority === table || rule.table === String(table)
}

function isOurs({ table, subnet }: TunnelNames, rule: Rule): boolean {
  return (
    rule.priority === table &&
    rule.table === String(table) &&
    `${rule.src}/${rule.srclen}` === subnet &&
    Object.keys(rule).every((field) => RULE_FIELDS.has(field))
  )
}

function routeText({ table }: TunnelNames, { type, dst, dev }: Route): string {
  return [type, dst, dev && `dev ${dev}`, `table ${table}`].filter(Boolean).join(' ')
}

function ruleText({ priority, src, srclen, table }: Rule): string {
  const from = `${src}${srclen === undefined ? '' : `/${srclen}`}`
  return [`rule ${priority}`, `from ${from}`, table && `lookup ${table}`].filter(Boolean).join(' ')
}

import { wireguardPublicKey } from '../boxes/wireguard-keys.ts'
import type { Clock } from '../lib/clock.ts'
import { TunnelError } from './errors.ts'
import type { CommandOutput, Host, HostCommand } from './host.ts'

interface FakeLink {
  kind: 'wireguard' | 'tun'
  isUp: boolean
  mtu: number
  alias?: string
  readonly addresses: Set<string>
  wireguard: FakeWireguard
}

interface FakeWireguard {
  privateKey?: string
  listenPort: number
  readonly peers: Map<string, { endpoint: string; allowedIps: string; keepalive: string; latestHandshake: number }>
}

interface FakeRoute {
  readonly type: string
  readonly dst: string
  readonly dev?: string
  readonly metric?: number
  readonly table: string
}

interface FakeRule {
  readonly priority: number
  readonly src: string
  readonly srclen?: number
  readonly table: string
}

/** A machine that is made up: it understands the commands that tunnels are made of, and does as Linux does. */
export class FakeHost implements Host {
  /** Every command that changed something, as text. */
  readonly changes: string[] = []
  readonly links = new Map<string, FakeLink>()
  /** Whether the kernel has WireGuard. */
  hasKernelWireguard = true
  /** Whether the box answers when hands are to be shaken. */
  isAnswered = true
  /** What is said instead of carrying out a command that changes something; undefined to carry it out. */
  refuse: (command: string) => string | undefined = () => undefined
  readonly #clock: Clock
  readonly #listeners = new Set<(line: string) => void>()
  #routes: FakeRoute[] = []
  #rules: FakeRule[] = [{ priority: 0, src: 'all', table: '255' }]
  /** Rulesets by table. */
  readonly #tables = new Map<string, string>()

  constructor(clock: Clock) {
    this.#clock = clock
  }

  async run({ program, args, stdin }: HostCommand, signal: AbortSignal): Promise<CommandOutput> {
    signal.throwIfAborted()
    const [first] = args
    const isLook = args.includes('show') || args.includes('list') || args.includes('get')
    if (!isLook) {
      const change = [program, ...args].join(' ')
      const refusal = this.refuse(change)
      if (refusal !== undefined) return failed(refusal)
      this.changes.push(change)
    }
    const output = program === 'ip' ? this.#ip(args) : program === 'wg' ? this.#wg(args, stdin) : this.#nft(args)
    if (!isLook && first !== undefined) this.tell(args.join(' '))
    return output
  }

  async startWireguard(interfaceName: string): Promise<void> {
    if (this.hasKernelWireguard) throw new TunnelError('failed', 'The kernel could have done it')
    this.changes.push(`wireguard-go ${interfaceName}`)
    this.#addLink(interfaceName, 'tun')
  }

  async endWireguard(): Promise<void> {}

  onChange(listener: (line: string) => void): AsyncDisposable {
    this.#listeners.add(listener)
    return { [Symbol.asyncDispose]: async () => void this.#listeners.delete(listener) }
  }

  tell(line: string): void {
    for (const listener of this.#listeners) listener(line)
  }

  #ip(args: readonly string[]): CommandOutput {
    const words = args.filter((arg) => !arg.startsWith('-'))
    const [object, verb, ...rest] = words
    const after = (name: string) => rest[rest.indexOf(name) + 1] ?? ''
    switch (`${object} ${verb}`) {
      case 'link show':
      case 'addr show':
        return this.#showLink(after('dev'))
      case 'addr replace':
        return this.#withLink(after('dev'), ({ addresses }) => addresses.add(rest[0] ?? ''))
      case 'addr del':
        return this.#withLink(after('dev'), ({ addresses }) => addresses.delete(rest[0] ?? ''))
      case 'link add':
        if (!this.hasKernelWireguard) return failed('Error: Unknown device type.')
        this.#addLink(after('dev'), 'wireguard')
        return ok()
      case 'link set':
        return this.#withLink(after('dev'), (link) => this.#setLink(after('dev'), link, rest))
      case 'link del':
        return this.#withLink(after('dev'), () => {
          this.links.delete(after('dev'))
          this.#routes = this.#routes.filter(({ dev }) => dev !== after('dev'))
        })
      case 'route show': {
        const table = after('table')
        const routes = this.#routes.filter((route) => route.table === table)
        return routes.length === 0 && table !== 'local'
          ? failed('Error: ipv4: FIB table does not exist.\nDump terminated')
          : json(routes)
      }
      case 'route get':
        return json([{ dev: this.#wayFrom(after('from')) }])
      case 'route add':
      case 'route replace':
        return this.#addRoute(rest)
      case 'route del':
        return this.#remove(rest)
      case 'rule show':
        return json(this.#rules)
      case 'rule add':
        this.#rules.push(parseRule(rest))
        return ok()
      case 'rule del': {
        const priority = Number(after('pref'))
        if (!this.#rules.some((rule) => rule.priority === priority)) return failed('RTNETLINK answers: No such file')
        this.#rules = this.#rules.filter((rule) => rule.priority !== priority)
        return ok()
      }
      default:
        return failed(`The made-up machine does not know: ip ${args.join(' ')}`)
    }
  }

  #wg(args: readonly string[], stdin = ''): CommandOutput {
    const [verb, name = '', ...rest] = args
    const link = this.links.get(name)
    if (link === undefined) return failed('Unable to access interface: No such device')
    const { wireguard } = link
    if (verb === 'show') return ok(dump(wireguard))
    if (verb === 'setconf') {
      link.wireguard = parseConfig(stdin)
      this.#shakeHands(link)
      return ok()
    }
    if (verb === 'set' && rest[0] === 'listen-port') {
      wireguard.listenPort = Number(rest[1])
      return ok()
    }
    return failed(`The made-up machine does not know: wg ${args.join(' ')}`)
  }

  #nft(args: readonly string[]): CommandOutput {
    const text = args.join(' ')
    const [, name = ''] = /table inet (\S+)/.exec(text) ?? []
    if (text.includes('list table')) {
      const rules = this.#tables.get(name)
      return rules === undefined ? failed('Error: No such file or directory') : json({ nftables: parseRuleset(rules) })
    }
    this.#tables.delete(name)
    if (text.includes('{')) this.#tables.set(name, text)
    return ok()
  }

  #addLink(name: string, kind: FakeLink['kind']): void {
    const wireguard = { listenPort: 0, peers: new Map() }
    this.links.set(name, { kind, isUp: false, mtu: 1420, addresses: new Set(), wireguard })
  }

  #withLink(name: string, work: (link: FakeLink) => unknown): CommandOutput {
    const link = this.links.get(name)
    if (link === undefined) return failed(`Cannot find device "${name}"`)
    work(link)
    return ok()
  }

  #setLink(name: string, link: FakeLink, words: readonly string[]): void {
    const mtu = words.indexOf('mtu')
    const alias = words.indexOf('alias')
    if (mtu >= 0) link.mtu = Number(words[mtu + 1])
    if (alias >= 0) link.alias = words[alias + 1] ?? ''
    if (words.includes('up')) link.isUp = true
    if (words.includes('down')) link.isUp = false
    if (link.isUp) this.#shakeHands(link)
    else if (words.includes('down')) this.#routes = this.#routes.filter(({ dev }) => dev !== name)
  }

  #shakeHands(link: FakeLink): void {
    if (!link.isUp || !this.isAnswered) return
    for (const peer of link.wireguard.peers.values()) peer.latestHandshake = Math.floor(this.#clock.now() / 1000)
  }

  #showLink(name: string): CommandOutput {
    const link = this.links.get(name)
    if (link === undefined) return failed(`Device "${name}" does not exist.`)
    const addresses = [...link.addresses].map((address) => {
      const [local, length] = address.split('/')
      return { family: 'inet', local, prefixlen: Number(length) }
    })
    return json([
      {
        ifname: name,
        flags: link.isUp ? ['NOARP', 'UP', 'LOWER_UP'] : ['NOARP'],
        mtu: link.mtu,
        linkinfo: { info_kind: link.kind },
        ...(link.alias !== undefined && { ifalias: link.alias }),
        addr_info: addresses,
      },
    ])
  }

  #addRoute(words: readonly string[]): CommandOutput {
    const route = parseRoute(words)
    if (route.dev !== undefined && route.dev !== 'lo' && !this.links.get(route.dev)?.isUp) {
      return failed('RTNETLINK answers: Network is down')
    }
    this.#routes = [...this.#routes.filter((other) => !isSameRoute(other, route)), route]
    return ok()
  }

  #wayFrom(address: string): string | undefined {
    const rule = this.#rules.find(({ src, srclen }) => srclen === 24 && address.startsWith(src.replace(/0$/, '')))
    return this.#routes.find(({ dst, dev, table }) => table === rule?.table && dst === 'default' && dev !== undefined)
      ?.dev
  }

  #remove(words: readonly string[]): CommandOutput {
    const route = parseRoute(words)
    const left = this.#routes.filter((other) => !isSameRoute(other, route))
    if (left.length === this.#routes.length) return failed('RTNETLINK answers: No such process')
    this.#routes = left
    return ok()
  }
}

function parseRoute(words: readonly string[]): FakeRoute {
  const isTyped = words[0] === 'unreachable' || words[0] === 'local'
  const [type, dst, ...rest] = isTyped ? words : ['unicast', ...words]
  const after = (name: string) => (rest.includes(name) ? rest[rest.indexOf(name) + 1] : undefined)
  const dev = after('dev')
  const metric = after('metric')
  return {
    type: type ?? '',
    dst: dst ?? '',
    table: after('table') ?? 'main',
    ...(dev !== undefined && { dev }),
    ...(metric !== undefined && { metric: Number(metric) }),
  }
}

function parseRule(words: readonly string[]): FakeRule {
  const after = (name: string) => words[words.indexOf(name) + 1] ?? ''
  const [src = '', length] = after('from').split('/')
  return {
    priority: Number(after('pref')),
    src,
    table: after('lookup'),
    ...(length !== undefined && { srclen: Number(length) }),
  }
}

function isSameRoute(a: FakeRoute, b: FakeRoute): boolean {
  return a.table === b.table && a.dst === b.dst && (a.metric ?? 0) === (b.metric ?? 0)
}

function parseConfig(text: string): FakeWireguard {
  const field = (name: string) => new RegExp(`^${name} = (.*)$`, 'm').exec(text)?.[1] ?? ''
  const peer = {
    endpoint: field('Endpoint'),
    allowedIps: field('AllowedIPs'),
    keepalive: field('PersistentKeepalive'),
    latestHandshake: 0,
  }
  return {
    privateKey: field('PrivateKey'),
    listenPort: Number(field('ListenPort')),
    peers: new Map([[field('PublicKey'), peer]]),
  }
}

function dump({ privateKey, listenPort, peers }: FakeWireguard): string {
  const own = [privateKey ?? '(none)', privateKey ? wireguardPublicKey(privateKey) : '(none)', listenPort, 'off']
  const others = [...peers].map(([key, { endpoint, allowedIps, keepalive, latestHandshake }]) =>
    [key, '(none)', endpoint, allowedIps, latestHandshake, 92, 148, keepalive].join('\t'),
  )
  return `${[own.join('\t'), ...others].join('\n')}\n`
}

/** As `nft -j list` prints a ruleset: chains, and rules with their comments. */
function parseRuleset(text: string): readonly unknown[] {
  let chain = ''
  return text.split('\n').flatMap((line): readonly unknown[] => {
    chain = /^ {2}chain (\S+)/.exec(line)?.[1] ?? chain
    const hook = /hook (\S+)/.exec(line)?.[1]
    const comment = /comment "(.*)"/.exec(line)?.[1]
    if (hook !== undefined) return [{ chain: { name: chain, hook } }]
    return comment === undefined ? [] : [{ rule: { chain, comment } }]
  })
}

function ok(stdout = ''): CommandOutput {
  return { code: 0, stdout, stderr: '' }
}

function json(value: unknown): CommandOutput {
  return ok(JSON.stringify(value))
}

function failed(stderr: string): CommandOutput {
  return { code: 2, stdout: '', stderr }
}

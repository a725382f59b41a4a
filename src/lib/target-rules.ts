import { isIP } from 'node:net'
import { type AddressSet, addressSet, isSubnet } from './address-set.ts'

/** Which targets may be reached, as it is written in the configuration and with a key. */
export interface WrittenTargetRules {
  readonly allow?: readonly string[]
  readonly deny?: readonly string[]
}

/** Answers whether a target may be reached: both its host and its port must be let through. */
export interface TargetRuleSet {
  /** `host`: an IP address, or a name in lower case without a trailing dot. */
  mayReachHost(host: string): boolean
  mayReachPort(port: number): boolean
}

/** As much as a configuration or a key needs; each entry costs time at each request. */
export const MAX_TARGET_RULES = 1_000

const LABEL = '[a-z0-9](?:[a-z0-9-]{0,61}[a-z0-9])?'
const HOST = new RegExp(`^(?=.{1,253}$)${LABEL}(?:\\.${LABEL})*$`)
const PORT = /^:(\d{1,5})$/

const EXPECTED =
  'expected a network such as 203.0.113.0/24, a host such as example.com (with all names below it), or a port such as :443'

/**
 * Why `entry` is no rule, as the rest of a sentence that names it; undefined when it is one: a network
 * (`203.0.113.0/24`, `2001:db8::/32`, an address alone), a host with all names below it (`example.com`, `onion`), or a port (`:443`).
 */
export function targetRuleFault(entry: string): string | undefined {
  return parseRule(entry) === undefined ? `is no rule for targets: ${EXPECTED}` : undefined
}

/**
 * What is denied is denied, whatever else allows it. A list that allows hosts or networks allows no other ones, and one that
 * allows ports allows no other ports: `['example.com', ':443']` is example.com on 443 and nothing else. A network is matched
 * by addresses alone, for it is exits that resolve names: where only networks are allowed, no name is. Throws a RangeError that
 * names an entry that is no rule.
 */
export function createTargetRules({ allow = [], deny = [] }: WrittenTargetRules): TargetRuleSet {
  const allowed = gather(allow)
  const denied = gather(deny)
  const allowsHosts = allowed.hosts.size > 0 || allowed.networks.length > 0
  return {
    mayReachHost: (host) => !matchesHost(denied, host) && (!allowsHosts || matchesHost(allowed, host)),
    mayReachPort: (port) => !denied.ports.has(port) && (allowed.ports.size === 0 || allowed.ports.has(port)),
  }
}

interface Gathered {
  readonly networks: readonly string[]
  readonly addresses: AddressSet
  readonly hosts: ReadonlySet<string>
  readonly ports: ReadonlySet<number>
}

function gather(entries: readonly string[]): Gathered {
  const networks: string[] = []
  const hosts = new Set<string>()
  const ports = new Set<number>()
  for (const entry of entries) {
    const rule = parseRule(entry)
    if (rule === undefined) throw new RangeError(`Cannot use the rule for targets: ${EXPECTED}: "${entry}"`)
    if (rule.kind === 'network') networks.push(rule.network)
    else if (rule.kind === 'host') hosts.add(rule.host)
    else ports.add(rule.port)
  }
  return { networks, addresses: addressSet(networks), hosts, ports }
}

type Rule =
  | { readonly kind: 'network'; readonly network: string }
  | { readonly kind: 'host'; readonly host: string }
  | { readonly kind: 'port'; readonly port: number }

function parseRule(entry: string): Rule | undefined {
  const [, digits] = PORT.exec(entry) ?? []
  const port = Number(digits)
  if (digits !== undefined) return port >= 1 && port <= 65_535 ? { kind: 'port', port } : undefined
  if (isSubnet(entry)) return { kind: 'network', network: entry }
  // What any parser of URLs takes for an IPv4 address is none of a host: it would match nothing.
  const url = URL.parse(`http://${entry}/`)
  if (url === null || /[/?#@:\\[\]%\s]/.test(entry)) return undefined
  const host = url.hostname.replace(/^\.|\.$/g, '')
  return HOST.test(host) && isIP(host) === 0 ? { kind: 'host', host } : undefined
}

/** A name matches itself and every name that ends with it behind a dot. */
function matchesHost({ addresses, hosts }: Gathered, host: string): boolean {
  if (isIP(host) !== 0) return addresses.has(host)
  for (let name = host; ; ) {
    if (hosts.has(name)) return true
    const dot = name.indexOf('.')
    if (dot < 0) return false
    name = name.slice(dot + 1)
  }
}

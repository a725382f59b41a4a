/**
 * Who lives where in the private network. Pure: the same plan is made outside (for callers) and inside (for the
 * processes), from the few facts that `NetworkShape` holds.
 */

/** `namespace`: a network of its own. `loopback`: addresses of 127.0.0.0/8 on the machine's own network. */
export type Isolation = 'namespace' | 'loopback'

export interface NetworkShape {
  readonly isolation: Isolation
  /** One-way delay of every connection to a relay. Zero for none. */
  readonly latencyMs: number
  /** 0 to `LOOPBACK_SLOTS` - 1: which /24 of 127.0.0.0/8 this network uses, so that several can live on one machine. */
  readonly loopbackSlot: number
}

export type Role = 'authority' | 'guard' | 'exit' | 'onion-service'

export interface PlannedProcess {
  readonly name: string
  readonly role: Role
  readonly address: string
  /** Where the network's GeoIP file says that `address` is. */
  readonly country: string
}

export interface NetworkPlan {
  readonly isolation: Isolation
  readonly latencyMs: number
  readonly processes: readonly PlannedProcess[]
  readonly addresses: SiteAddresses
  readonly ports: SitePorts
}

export interface SiteAddresses {
  readonly dns: string
  readonly check: string
  readonly www: string
  readonly badcert: string
  /** Nothing listens here. */
  readonly refused: string
}

export interface SitePorts {
  readonly dns: number
  readonly http: number
  readonly https: number
}

export const DOMAIN = 'cbtor.test'

/** Where a relay listens, and where it says that it does: with latency, a forwarder sits in between. */
export const OR_PORT = 5101
export const DELAYED_OR_PORT = 5201
export const DIR_PORT = 7000

export const LOOPBACK_SLOTS = 64 * 256

const PROCESSES: readonly (readonly [name: string, role: Role, host: number, country: string])[] = [
  ['auth1', 'authority', 1, 'ch'],
  ['auth2', 'authority', 2, 'is'],
  ['auth3', 'authority', 3, 'no'],
  ['relay1', 'guard', 11, 'fr'],
  ['relay2', 'guard', 12, 'ro'],
  ['exit1', 'exit', 21, 'de'],
  ['exit2', 'exit', 22, 'nl'],
  ['exit3', 'exit', 23, 'us'],
  ['exit4', 'exit', 24, 'se'],
  ['onion1', 'onion-service', 31, 'at'],
  ['onion2', 'onion-service', 32, 'fi'],
]

const SITE_HOSTS = { dns: 53, check: 110, www: 120, badcert: 130, refused: 140 } as const

/** So many clients of a network in a namespace can have an address of their own. */
export const CLIENTS = 32

/**
 * The address of client `n`, 1 to `CLIENTS`, by which it can be told from the others and cut off. Throws `RangeError` for
 * another number. Undefined on loopback, where the kernel chooses.
 */
export function clientAddress(plan: NetworkPlan, n: number): string | undefined {
  if (!Number.isInteger(n) || n < 1 || n > CLIENTS)
    throw new RangeError(`Cannot give a client an address: ${n} is not a whole number from 1 to ${CLIENTS}`)
  return plan.isolation === 'namespace' ? `203.0.113.${100 + n}` : undefined
}

export function planNetwork(shape: NetworkShape): NetworkPlan {
  const { isolation, latencyMs } = shape
  // RFC 5737's documentation ranges are nobody's, and Tor does not count them among the private ones.
  const loopback = `127.${64 + (shape.loopbackSlot >> 8)}.${shape.loopbackSlot & 0xff}`
  const relays = isolation === 'namespace' ? '203.0.113' : loopback
  const sites = isolation === 'namespace' ? '198.51.100' : loopback
  return {
    isolation,
    latencyMs,
    processes: PROCESSES.map(([name, role, host, country]) => ({ name, role, address: `${relays}.${host}`, country })),
    addresses: {
      dns: `${sites}.${SITE_HOSTS.dns}`,
      check: `${sites}.${SITE_HOSTS.check}`,
      www: `${sites}.${SITE_HOSTS.www}`,
      badcert: `${sites}.${SITE_HOSTS.badcert}`,
      refused: `${sites}.${SITE_HOSTS.refused}`,
    },
    // Ports below 1024 are root's, except in a namespace of one's own.
    ports: isolation === 'namespace' ? { dns: 53, http: 80, https: 443 } : { dns: 5353, http: 8080, https: 8443 },
  }
}

export function isRelay(process: PlannedProcess): boolean {
  return process.role !== 'onion-service'
}

/** The port by which the network knows a relay. */
export function advertisedOrPort(plan: NetworkPlan): number {
  return plan.latencyMs > 0 ? DELAYED_OR_PORT : OR_PORT
}

/** Every address that the network uses, each once; those of its clients, too. */
export function allAddresses(plan: NetworkPlan): string[] {
  const clients = Array.from({ length: CLIENTS }, (_, index) => clientAddress(plan, index + 1) ?? [])
  return [...plan.processes.map((process) => process.address), ...Object.values(plan.addresses), ...clients.flat()]
}

/**
 * The source addresses by which a site can tell an exit. Tor does not bind a connection to a loopback address, so there
 * the kernel chooses and all exits look alike.
 */
export function exitSourceAddresses(plan: NetworkPlan): string[] {
  if (plan.isolation === 'loopback') return ['127.0.0.1']
  return plan.processes.filter((process) => process.role === 'exit').map((process) => process.address)
}

/** The address of a name of the network's domain, or undefined for one that does not exist. */
export function resolveName(plan: NetworkPlan, name: string): string | undefined {
  const lower = name.toLowerCase()
  if (lower === DOMAIN) return plan.addresses.www
  if (!lower.endsWith(`.${DOMAIN}`)) return undefined
  const label = lower.slice(0, -DOMAIN.length - 1)
  switch (label) {
    case 'nowhere':
      return undefined
    case 'check':
    case 'badcert':
    case 'refused':
      return plan.addresses[label]
    default:
      return plan.addresses.www
  }
}

/** `http://host` or `https://host`, with a port where it is not the scheme's own. */
export function siteUrl(plan: NetworkPlan, scheme: 'http' | 'https', host: string): string {
  const port = plan.ports[scheme]
  return `${scheme}://${host}${port === (scheme === 'http' ? 80 : 443) ? '' : `:${port}`}`
}

/** Tor's GeoIP file format: `INTIPLOW,INTIPHIGH,CC`, one line a range, in order. */
export function geoipFile(plan: NetworkPlan): string {
  return plan.processes
    .map(({ address, country }) => ({ ip: ipv4Number(address), country }))
    .sort((a, b) => a.ip - b.ip)
    .map(({ ip, country }) => `${ip},${ip},${country.toUpperCase()}\n`)
    .join('')
}

/**
 * What the authorities take for the relays' measured bandwidths (bandwidth-file-spec, version 1.0.0): without it those that
 * have carried nothing yet count as zero and are never chosen. Authorities get little, to keep clients off them.
 */
export function bandwidthFile(plan: NetworkPlan, fingerprints: ReadonlyMap<string, string>, nowS: number): string {
  const lines = plan.processes
    .filter(isRelay)
    .map(({ name, role }) => `node_id=$${fingerprints.get(name)} bw=${role === 'authority' ? 1 : 10_000} nick=${name}`)
  return [nowS, ...lines, ''].join('\n')
}

function ipv4Number(address: string): number {
  return address.split('.').reduce((sum, part) => sum * 256 + Number(part), 0)
}

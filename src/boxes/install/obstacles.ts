import { listOf, parseUci } from '../uci-text.ts'
import type { BoxFacts } from './facts.ts'
import { wireguardInterfaces } from './facts.ts'
import type { Journal } from './journal.ts'

/** UDP port of WireGuard on the box. */
export const BOX_WIREGUARD_PORT = 51_820
/** Of Tor on the box. */
const TOR_PORTS: ReadonlyMap<number, string> = new Map([
  [9050, 'SocksPort'],
  [9040, 'TransPort'],
  [9053, 'DNSPort'],
  [9051, 'ControlPort'],
])
const OUR_TORRC = '/etc/tor/torrc.d/cbtor.conf'
const OUR_ZONE = 'cbtor_zone'
const ZONE_NAME = 'wgtor'

/** What Tor, wireguard-tools and what they need take on flash, and what our own files and the copies of others take. */
const SPACE_FOR_PACKAGES_KB = 10_000
const SPACE_FOR_FILES_KB = 300
/** A Tor whose clock is wrong by more refuses the consensus. */
const CLOCK_LIMIT_S = 30 * 60

/** Options of somebody else's that would take our ports, overrule our policy, or make a relay of what is to be a client. */
const CONFLICTING =
  /^\s*[+/]?(SocksPort|SocksPolicy|TransPort|NATDPort|DNSPort|HTTPTunnelPort|ControlPort|ControlSocket|ORPort|DirPort|DisableNetwork|RunAsDaemon)\b\s*(.*)$/i

/**
 * Why a worker cannot be installed on the box as it is, each with how to mend it; none when it can. What our own earlier
 * installation left, by the journal, is no obstacle.
 */
export function obstacles(
  facts: BoxFacts,
  journal: Journal | undefined,
  { tunnel, nowS }: { readonly tunnel: number; readonly nowS: number },
): readonly string[] {
  if (facts.release === undefined)
    return [`It is no OpenWrt: there is no /etc/openwrt_release. A worker is installed on OpenWrt 22.03 or newer`]
  if (!facts.isRoot)
    return ['The user of the SSH connection is not root: packages and services are for root alone. Use root@HOST']
  return [
    ...packageObstacles(facts),
    ...clockObstacles(facts, nowS),
    ...torrcObstacles(facts),
    ...portObstacles(facts, journal),
    ...tunnelObstacles(facts, journal, tunnel),
    ...firewallObstacles(facts),
  ]
}

function packageObstacles({ packageManager, freeKb, packages }: BoxFacts): string[] {
  if (packageManager === undefined)
    return [
      'It has neither opkg nor apk, so Tor and WireGuard cannot be installed. Use an image with a package manager',
    ]
  const isComplete = hasTor(packages) && packages.has('wireguard-tools')
  const neededKb = SPACE_FOR_FILES_KB + (isComplete ? 0 : SPACE_FOR_PACKAGES_KB)
  if (freeKb >= neededKb) return []
  return [
    `There is no space: ${megabytes(freeKb)} are free where /etc is, and ${megabytes(neededKb)} are needed${
      isComplete ? '' : ' for the packages tor and wireguard-tools'
    }. Remove packages or files (see: df -h /overlay), extend the overlay (extroot), or use an image with both packages built in`,
  ]
}

export function hasTor(packages: ReadonlySet<string>): boolean {
  return packages.has('tor') || packages.has('tor-basic')
}

function clockObstacles({ clockS }: BoxFacts, nowS: number): string[] {
  const offS = clockS - nowS
  if (Math.abs(offS) <= CLOCK_LIMIT_S) return []
  const minutes = Math.round(Math.abs(offS) / 60)
  return [
    `Its clock is ${minutes} minutes ${offS < 0 ? 'behind' : 'ahead of'} this machine's, and Tor does not start with a wrong clock. ` +
      'Mend it on the box: /etc/init.d/sysntpd restart (or: date -u -s "YYYY-MM-DD hh:mm:ss")',
  ]
}

function torrcObstacles({ torrcs }: BoxFacts): string[] {
  const found: string[] = []
  for (const [path, text] of torrcs) {
    if (path === OUR_TORRC) continue
    text.split('\n').forEach((line, index) => {
      const [option] = CONFLICTING.exec(line) ?? []
      if (option !== undefined) found.push(`${path} line ${index + 1}: "${option.trim().slice(0, 80)}"`)
      if (/^\s*%include\s+.*\/torrc\.d(\/|\s|$)/.test(line))
        found.push(`${path} line ${index + 1}: "${line.trim().slice(0, 80)}", which would include ours a second time`)
    })
  }
  if (found.length === 0) return []
  return [
    `Its torrc has options of somebody else that conflict with a worker's (${found.join('; ')}). ` +
      'Put a # before these lines, or use another box: a worker needs Tor for itself',
  ]
}

function portObstacles({ listeners }: BoxFacts, journal: Journal | undefined): string[] {
  if (journal) return []
  return listeners.flatMap(({ protocol, port, program }) => {
    const option = protocol === 'tcp' || port === 9053 ? TOR_PORTS.get(port) : undefined
    const isWireguard = protocol === 'udp' && port === BOX_WIREGUARD_PORT
    if (!isWireguard && (option === undefined || program === 'tor')) return []
    const by = program === undefined ? 'something' : program
    return [
      `Port ${port} (${protocol}), which is to be ${isWireguard ? "the tunnel's" : `Tor's ${option}`}, is taken by ${by}. ` +
        'Stop it or give it another port',
    ]
  })
}

function tunnelObstacles(facts: BoxFacts, journal: Journal | undefined, tunnel: number): string[] {
  const found: string[] = []
  const network = facts.configs.get('/etc/config/network') ?? ''
  const isOurs = journal?.original.files.some(({ path }) => path === '/etc/config/network') ?? false
  const sections = parseUci(network)
  if (!isOurs) {
    const hasSection = sections.some(({ name }) => name === 'wg0')
    if (hasSection || facts.hasTunnelInterface)
      found.push(
        `It has a wg0 of somebody else${hasSection ? ' in /etc/config/network' : ''}. Rename that interface, or remove it: ` +
          'uci delete network.wg0; uci commit network; /etc/init.d/network reload',
      )
  }
  const rival = wireguardInterfaces(network).find(({ name, listenPort }) => {
    return name !== 'wg0' && listenPort === BOX_WIREGUARD_PORT
  })
  if (rival)
    found.push(
      `Its WireGuard interface ${rival.name} has UDP port ${BOX_WIREGUARD_PORT}, which is to be the tunnel's. ` +
        `Give it another: uci set network.${rival.name}.listen_port=51900; uci commit network; ifup ${rival.name}`,
    )
  const net = `10.201.${tunnel}.`
  const clash = facts.addresses.find(({ interfaceName, address }) => interfaceName !== 'wg0' && address.startsWith(net))
  if (clash)
    found.push(
      `Its ${clash.interfaceName} has ${clash.address}, in the network of tunnel ${tunnel}. Choose another tunnel number with --tunnel`,
    )
  return found
}

function firewallObstacles({ configs }: BoxFacts): string[] {
  const sections = parseUci(configs.get('/etc/config/firewall') ?? '')
  const forwarding = sections.find(
    ({ type, options }) => type === 'forwarding' && [ZONE_NAME, '*'].includes(String(options.get('src'))),
  )
  if (forwarding)
    return [
      `Its firewall forwards from ${forwarding.options.get('src') === '*' ? 'every zone' : `zone ${ZONE_NAME}`} to ${forwarding.options.get('dest') ?? 'another zone'}: traffic of the tunnel would ` +
        'leave in clear. Remove that forwarding from /etc/config/firewall',
    ]
  const zone = sections.find(({ type, name, options }) => {
    if (type !== 'zone' || name === OUR_ZONE) return false
    return (
      options.get('name') === ZONE_NAME ||
      listOf(options.get('network')).some((one) => one.split(/\s+/).includes('wg0'))
    )
  })
  if (!zone) return []
  return [
    `Its firewall has a zone ${listOf(zone.options.get('name'))[0] ?? ''} of somebody else with wg0 or the name ${ZONE_NAME}. ` +
      'Remove it from /etc/config/firewall: the zone of the tunnel is to be ours',
  ]
}

function megabytes(kb: number): string {
  return `${(kb / 1_000).toFixed(1)} MB`
}

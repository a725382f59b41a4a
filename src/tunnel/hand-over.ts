import { ENDPOINT } from '../boxes/box-file.ts'
import { lockRuleset } from './lock.ts'
import { KILL_SWITCH_METRIC } from './routes.ts'
import type { TunnelSpec } from './spec.ts'
import { ALLOWED_IPS, KEEPALIVE_S } from './wireguard-config.ts'

/** Those that an interface can be handed over to. `cbtor tunnel up` then sees to the rest: lock, rule and routes. */
export const HAND_OVER_TOOLS = ['wg-quick', 'systemd-networkd', 'netifd'] as const
export type HandOverTool = (typeof HAND_OVER_TOOLS)[number]

/**
 * The tunnel as a configuration of another tool: own table, kill switch and rule included, and no route in the main table.
 * Without keys there is a text in the private key's place that no tool takes for one.
 */
export function handOver(spec: TunnelSpec, tool: HandOverTool, { withKeys }: { readonly withKeys: boolean }): string {
  const shown = withKeys
    ? spec
    : { ...spec, privateKey: `<the private key: cbtor tunnel config ${spec.id} --with-keys>` }
  switch (tool) {
    case 'wg-quick':
      return wgQuick(shown)
    case 'systemd-networkd':
      return networkd(shown)
    case 'netifd':
      return netifd(shown)
  }
}

function wgQuick(spec: TunnelSpec): string {
  const { interfaceName, table, subnet, lockTable } = spec
  const killSwitch = `unreachable default metric ${KILL_SWITCH_METRIC} table ${table}`
  const rule = `pref ${table} from ${subnet} lookup ${table}`
  const lock = lockRuleset(spec)
    .trim()
    .split(/\s*\n\s*/)
  // A hook is one line for the shell; a semicolon ends a statement of nft as a line's end does.
  const lockLine = lock.map((line) => (/[{;]$/.test(line) ? line : `${line};`)).join(' ')
  return `# ${where(`/etc/wireguard/${interfaceName}.conf`)}
[Interface]
PrivateKey = ${spec.privateKey}
ListenPort = ${spec.listenPort}
Address = ${spec.hostAddress}/24
MTU = ${spec.mtu}
Table = off
PreUp = nft '${lockLine}'
PreUp = ip -4 route replace ${killSwitch}
PreUp = ip -4 rule del ${rule} 2>/dev/null || true; ip -4 rule add ${rule}
${spec.identityRanges.map((range) => `PostUp = ip -4 route replace local ${range} dev lo table local`).join('\n')}
PostUp = ip -4 route replace default dev %i table ${table}
${spec.identityRanges.map((range) => `PostDown = ip -4 route del local ${range} table local`).join('\n')}
PostDown = ip -4 rule del ${rule}
PostDown = ip -4 route del ${killSwitch}
PostDown = nft delete table inet ${lockTable}

[Peer]
PublicKey = ${spec.boxPublicKey}
Endpoint = ${spec.boxEndpoint}
AllowedIPs = ${ALLOWED_IPS}
PersistentKeepalive = ${KEEPALIVE_S}
`
}

function networkd(spec: TunnelSpec): string {
  const { interfaceName, table, subnet } = spec
  return `# ${where(`/etc/systemd/network/50-${interfaceName}.netdev, mode 0640, group systemd-network`)}
[NetDev]
Name=${interfaceName}
Kind=wireguard
MTUBytes=${spec.mtu}

[WireGuard]
PrivateKey=${spec.privateKey}
ListenPort=${spec.listenPort}
RouteTable=off

[WireGuardPeer]
PublicKey=${spec.boxPublicKey}
Endpoint=${spec.boxEndpoint}
AllowedIPs=${ALLOWED_IPS}
PersistentKeepalive=${KEEPALIVE_S}

# ${where(`/etc/systemd/network/50-${interfaceName}.network`)}
[Match]
Name=${interfaceName}

[Network]
Address=${spec.hostAddress}/24
LinkLocalAddressing=no

[RoutingPolicyRule]
From=${subnet}
Table=${table}
Priority=${table}

[Route]
Destination=0.0.0.0/0
Scope=link
Table=${table}

[Route]
Type=unreachable
Destination=0.0.0.0/0
Metric=${KILL_SWITCH_METRIC}
Table=${table}
${spec.identityRanges.map((range) => `\n[Route]\nType=local\nDestination=${range}\nTable=local\n`).join('')}
${lockFile(spec)}`
}

/** The name of an interface of netifd has no hyphen; `cbtor tunnel` knows it by that name as well. */
function netifd(spec: TunnelSpec): string {
  const { table, subnet } = spec
  const name = spec.interfaceName.replaceAll('-', '_')
  const [, port = ''] = ENDPOINT.exec(spec.boxEndpoint) ?? []
  const host = spec.boxEndpoint.slice(0, -port.length - 1).replace(/^\[(.*)\]$/, '$1')
  return `# ${where('/etc/config/network')}
config interface '${name}'
	option proto 'wireguard'
	option private_key '${spec.privateKey}'
	option listen_port '${spec.listenPort}'
	option mtu '${spec.mtu}'
	list addresses '${spec.hostAddress}/24'

config wireguard_${name}
	option public_key '${spec.boxPublicKey}'
	option endpoint_host '${host}'
	option endpoint_port '${port}'
	option persistent_keepalive '${KEEPALIVE_S}'
	option route_allowed_ips '0'
	list allowed_ips '${ALLOWED_IPS}'

config rule
	option src '${subnet}'
	option lookup '${table}'
	option priority '${table}'

config route
	option interface '${name}'
	option target '0.0.0.0/0'
	option table '${table}'

config route
	option interface 'loopback'
	option type 'unreachable'
	option target '0.0.0.0/0'
	option metric '${KILL_SWITCH_METRIC}'
	option table '${table}'
${spec.identityRanges.map((range) => `\nconfig route\n\toption interface 'loopback'\n\toption type 'local'\n\toption target '${range}'\n\toption table 'local'\n`).join('')}
${lockFile({ ...spec, interfaceName: name })}`
}

function lockFile(spec: TunnelSpec): string {
  return `# The egress lock, for nft -f; "cbtor tunnel up" makes it as well.
${lockRuleset(spec)}`
}

function where(path: string): string {
  return `${path}, made by: cbtor tunnel config`
}

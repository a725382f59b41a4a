import type { TunnelSpec } from './spec.ts'

/** Seconds between packets that keep the way through NAT and firewalls open. */
export const KEEPALIVE_S = 25
export const ALLOWED_IPS = '0.0.0.0/0'

/** What `wg setconf` reads. The private key is in it, so it goes by standard input and never on a command line. */
export function wireguardConfig(spec: TunnelSpec): string {
  return `[Interface]
PrivateKey = ${spec.privateKey}
ListenPort = ${spec.listenPort}

[Peer]
PublicKey = ${spec.boxPublicKey}
Endpoint = ${spec.boxEndpoint}
AllowedIPs = ${ALLOWED_IPS}
PersistentKeepalive = ${KEEPALIVE_S}
`
}

/** What `wg show NAME dump` tells. */
export interface WireguardState {
  readonly privateKey: string | undefined
  readonly listenPort: number
  readonly peers: readonly WireguardPeer[]
}

export interface WireguardPeer {
  readonly publicKey: string
  /** `address:port` */
  readonly endpoint: string | undefined
  readonly allowedIps: string
  /** Seconds since the epoch; 0 is never. */
  readonly latestHandshake: number
  readonly rxBytes: number
  readonly txBytes: number
  readonly keepalive: string
}

/** Throws an `Error` for what is no such dump. It has keys in it: quote nothing of it. */
export function parseWireguardDump(text: string): WireguardState {
  const [first = '', ...rest] = text.trimEnd().split('\n')
  const [privateKey = '', publicKey, listenPort] = first.split('\t')
  if (publicKey === undefined || listenPort === undefined) throw new Error('wg did not answer with a dump')
  return {
    privateKey: unlessNone(privateKey),
    listenPort: Number(listenPort),
    peers: rest.map((line) => {
      const [key = '', , endpoint = '', allowedIps = '', handshake, rx, tx, keepalive = ''] = line.split('\t')
      return {
        publicKey: key,
        endpoint: unlessNone(endpoint),
        allowedIps,
        latestHandshake: Number(handshake),
        rxBytes: Number(rx),
        txBytes: Number(tx),
        keepalive,
      }
    }),
  }
}

/** Whether the interface is configured as the spec says. The endpoint may differ: it follows the box. */
export function isConfigured(spec: TunnelSpec, state: WireguardState): boolean {
  const [peer, ...others] = state.peers
  return (
    state.privateKey === spec.privateKey &&
    state.listenPort === spec.listenPort &&
    others.length === 0 &&
    peer?.publicKey === spec.boxPublicKey &&
    peer.allowedIps === ALLOWED_IPS &&
    peer.keepalive === String(KEEPALIVE_S)
  )
}

function unlessNone(text: string): string | undefined {
  return text === '(none)' ? undefined : text
}

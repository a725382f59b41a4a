import { type BoxFile, ENDPOINT, WORKER_ID } from '../boxes/box-file.ts'
import { isWireguardKey } from '../boxes/wireguard-keys.ts'
import { TunnelError } from './errors.ts'

/** What this machine calls the things that belong to a tunnel; its number alone decides. */
export interface TunnelNames {
  readonly n: number
  readonly interfaceName: string
  /** All addresses of the tunnel, as `10.201.1.0/24`. */
  readonly subnet: string
  readonly hostAddress: string
  readonly boxAddress: string
  /** Ranges of further addresses that are this machine's: 10.201.N.16 to .254. */
  readonly identityRanges: readonly string[]
  /** Number of the routing table, and the priority of the rule that leads to it. */
  readonly table: number
  /** The nftables table of family `inet`. */
  readonly lockTable: string
}

export interface TunnelSpec extends TunnelNames {
  /** The box's id. */
  readonly id: string
  readonly privateKey: string
  readonly listenPort: number
  readonly boxPublicKey: string
  /** `host:port`; the host may be a name. */
  readonly boxEndpoint: string
  readonly mtu: number
}

export const MAX_TUNNEL = 254
const MTU = 1420
const TABLE_BASE = 20_100
const IDENTITY_RANGES = ['16/28', '32/27', '64/26', '128/25']

/** Throws a `TunnelError` unless `n` is a whole number from 1 to 254. */
export function tunnelNames(n: number): TunnelNames {
  if (!Number.isInteger(n) || n < 1 || n > MAX_TUNNEL) {
    throw new TunnelError('invalid', `Cannot use tunnel number ${n}: expected a whole number from 1 to ${MAX_TUNNEL}`)
  }
  const name = `tor${String(n).padStart(2, '0')}`
  return {
    n,
    interfaceName: `wg-${name}`,
    subnet: `10.201.${n}.0/24`,
    hostAddress: `10.201.${n}.2`,
    boxAddress: `10.201.${n}.1`,
    identityRanges: IDENTITY_RANGES.map((range) => `10.201.${n}.${range}`),
    table: TABLE_BASE + n,
    lockTable: `cbtor_${name}`,
  }
}

/**
 * The tunnel to a box. All that reaches a command line or the configuration of WireGuard is checked here, whoever wrote
 * the box file. Throws a `TunnelError`.
 */
export function tunnelSpec(box: BoxFile): TunnelSpec {
  const { n, privateKey, listenPort, boxPublicKey, boxEndpoint } = box.tunnel
  const refuse = (what: string, expected: string): never => {
    throw new TunnelError('invalid', `Cannot use the tunnel of a box: its ${what} is not ${expected}`)
  }
  if (!WORKER_ID.test(box.id)) refuse('id', 'a letter, then up to 31 letters, digits or hyphens')
  if (!isWireguardKey(privateKey)) refuse('private key', '32 bytes in base64')
  if (!isWireguardKey(boxPublicKey)) refuse("box's public key", '32 bytes in base64')
  if (!isPort(listenPort)) refuse('listen port', 'a whole number from 1 to 65535')
  const [, port = ''] = ENDPOINT.exec(boxEndpoint) ?? []
  if (!isPort(Number(port))) refuse('box endpoint', 'HOST:PORT')
  return { ...tunnelNames(n), id: box.id, privateKey, listenPort, boxPublicKey, boxEndpoint, mtu: MTU }
}

function isPort(value: number): boolean {
  return Number.isInteger(value) && value >= 1 && value <= 65_535
}

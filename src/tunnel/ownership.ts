import { TunnelError } from './errors.ts'
import type { Observed } from './observed.ts'
import type { TunnelNames, TunnelSpec } from './spec.ts'

/**
 * Whose the interface is. `new`: made a moment ago and not yet marked, by us when we were ended half-way, with nothing in
 * it. `handed-over`: another tool made it from the configuration that we print. `foreign`: not to be touched.
 */
export type Ownership = 'none' | 'ours' | 'new' | 'handed-over' | 'foreign'

const MARK = 'cbtor '

/** The alias of the interfaces that we make. */
export function markOf(id: string): string {
  return `${MARK}${id}`
}

/** The box whose tunnel the interface is, when we made it. */
export function boxOfMark(alias: string | undefined): string | undefined {
  return alias?.startsWith(MARK) ? alias.slice(MARK.length) : undefined
}

/** Without a spec (the box file is gone) whatever we made is ours. */
export function ownershipOf(spec: TunnelNames | TunnelSpec, { link, wireguard }: Observed): Ownership {
  if (link === undefined) return 'none'
  const box = boxOfMark(link.alias)
  if (box !== undefined) return !('id' in spec) || box === spec.id ? 'ours' : 'foreign'
  if (wireguard === undefined || (link.kind !== 'wireguard' && link.kind !== 'tun')) return 'foreign'
  if (wireguard.privateKey === undefined && wireguard.peers.length === 0 && link.addresses.length === 0) return 'new'
  const isOurKey = 'id' in spec && wireguard.privateKey === spec.privateKey
  return isOurKey && wireguard.peers.some(({ publicKey }) => publicKey === spec.boxPublicKey)
    ? 'handed-over'
    : 'foreign'
}

/** What stands in our way and is not ours, a sentence each with what mends it. */
export function foreignThings(spec: TunnelNames | TunnelSpec, observed: Observed): readonly string[] {
  const { interfaceName, n } = spec
  const instead = 'or install the box again with another --tunnel'
  const box = boxOfMark(observed.link?.alias)
  const why =
    box === undefined ? 'was not made by CBTOR' : `is the tunnel to box ${box}, which has the number ${n} as well`
  return [
    ...(ownershipOf(spec, observed) === 'foreign'
      ? [`the interface ${interfaceName} ${why}: remove it (ip link del ${interfaceName}), ${instead}`]
      : []),
    ...observed.strangers.map((text) => `"${text}" was not made by CBTOR: remove it with ip, ${instead}`),
  ]
}

/** Throws a `TunnelError` when something that is not ours is in the way. */
export function refuseForeign(attempt: string, spec: TunnelNames | TunnelSpec, observed: Observed): void {
  const things = foreignThings(spec, observed)
  if (things.length > 0) throw new TunnelError('foreign', `Cannot ${attempt} tunnel ${spec.n}: ${things.join('; ')}`)
}

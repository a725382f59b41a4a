import { BlockList, isIP } from 'node:net'

/** Answers whether an IP address lies in a set of subnets. */
export interface AddressSet {
  has(address: string): boolean
}

/**
 * `subnets`: IPv4 or IPv6, `<address>` or `<address>/<prefix length>`. Throws a RangeError at one that is neither.
 * An IPv4 subnet holds no IPv6 address and the other way round, which is why there are two lists: one BlockList would
 * take every IPv4 address for a member of ::/3.
 */
export function addressSet(subnets: readonly string[]): AddressSet {
  const ipv4 = new BlockList()
  const ipv6 = new BlockList()
  for (const subnet of subnets) {
    const parsed = parseSubnet(subnet)
    if (parsed === undefined) {
      throw new RangeError(`Cannot read the subnet: it is not <IP address>[/<prefix length>]: "${subnet}"`)
    }
    const { address, prefix, version } = parsed
    if (version === 4) ipv4.addSubnet(address, prefix, 'ipv4')
    else ipv6.addSubnet(address, prefix, 'ipv6')
  }
  return {
    has: (address) => (isIP(address) === 4 ? ipv4.check(address, 'ipv4') : ipv6.check(address, 'ipv6')),
  }
}

export function isSubnet(text: string): boolean {
  return parseSubnet(text) !== undefined
}

function parseSubnet(subnet: string) {
  const [, address = '', digits] = /^([0-9A-Fa-f.:]+)(?:\/(\d{1,3}))?$/.exec(subnet) ?? []
  const version = isIP(address)
  const longest = version === 4 ? 32 : 128
  const prefix = digits === undefined ? longest : Number(digits)
  return version === 0 || prefix > longest ? undefined : { address, prefix, version }
}

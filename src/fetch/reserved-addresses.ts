import { BlockList, isIP } from 'node:net'

/**
 * IPv4 that is not an address on the public internet: IANA IPv4 Special-Purpose Address Registry (RFC 6890), multicast
 * (RFC 5771) and the former 6to4 relays (RFC 7526).
 */
const RESERVED_IPV4 = [
  '0.0.0.0/8',
  '10.0.0.0/8',
  '100.64.0.0/10',
  '127.0.0.0/8',
  '169.254.0.0/16',
  '172.16.0.0/12',
  '192.0.0.0/24',
  '192.0.2.0/24',
  '192.88.99.0/24',
  '192.168.0.0/16',
  '198.18.0.0/15',
  '198.51.100.0/24',
  '203.0.113.0/24',
  '224.0.0.0/4',
  '240.0.0.0/4',
]

/**
 * IPv6 that is not an address on the public internet. Only 2000::/3 is (RFC 4291, section 2.4), so the first three rows
 * refuse all the rest: loopback, link-local, unique local and multicast, and IPv4 in disguise (::ffff:0:0/96,
 * 64:ff9b::/96). The others are carved out of 2000::/3: IETF protocols with Teredo, documentation, and 6to4, which is
 * IPv4 in disguise again.
 */
const RESERVED_IPV6 = ['::/3', '4000::/2', '8000::/1', '2001::/23', '2001:db8::/32', '2002::/16', '3fff::/20']

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
    const { address, prefix, version } = parseSubnet(subnet)
    if (version === 4) ipv4.addSubnet(address, prefix, 'ipv4')
    else ipv6.addSubnet(address, prefix, 'ipv6')
  }
  return {
    has: (address) => (isIP(address) === 4 ? ipv4.check(address, 'ipv4') : ipv6.check(address, 'ipv6')),
  }
}

export const RESERVED_ADDRESSES = addressSet([...RESERVED_IPV4, ...RESERVED_IPV6])

function parseSubnet(subnet: string) {
  const [, address = '', digits] = /^([^/]+)(?:\/(\d{1,3}))?$/.exec(subnet) ?? []
  const version = isIP(address)
  const longest = version === 4 ? 32 : 128
  const prefix = digits === undefined ? longest : Number(digits)
  if (version === 0 || prefix > longest) {
    throw new RangeError(`Cannot read the subnet: it is not <IP address>[/<prefix length>]: "${subnet}"`)
  }
  return { address, prefix, version }
}

import { addressSet } from '../lib/address-set.ts'

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

export const RESERVED_ADDRESSES = addressSet([...RESERVED_IPV4, ...RESERVED_IPV6])

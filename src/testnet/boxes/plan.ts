/** Who lives where on the rack's wires. Pure; the addresses are of RFC 5737's first documentation range. */

/** The network's namespace is the internet and the router of host and boxes. */
export const ROUTER_ADDRESS = '192.0.2.1'
/** The namespace of whoever creates the rack: the gateway machine. */
export const HOST_ADDRESS = '192.0.2.2'
/** What host and boxes call their one wire to the internet. */
export const WAN = 'wan'
export const MAX_BOXES = 9

/** Served to boxes that install packages. */
export const FEED_PORT = 8000

/** Of box `n`, 1 to `MAX_BOXES`. */
export function boxAddress(n: number): string {
  return `192.0.2.${10 + n}`
}

/** Its name, and the name of the router's end of its wire. */
export function boxName(n: number): string {
  return `box${n}`
}

/** The router's end of the host's wire. */
export const HOST_WIRE = 'host'

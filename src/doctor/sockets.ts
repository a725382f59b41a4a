/** A socket that somebody listens on (TCP), or has bound (UDP). */
export interface OpenSocket {
  readonly protocol: 'tcp' | 'udp'
  readonly host: string
  readonly port: number
  /** By which the file descriptors of its process can be told. */
  readonly inode: number
}

/** States of include/net/tcp_states.h; a UDP socket that only receives is in that of a closed TCP one. */
const WAITING = { tcp: '0A', udp: '07' } as const

/** Reads `/proc/PID/net/{tcp,tcp6,udp,udp6}` (proc(5)): what is waited on. Other lines are passed over. */
export function parseSocketTable(protocol: OpenSocket['protocol'], text: string): readonly OpenSocket[] {
  return text.split('\n').flatMap((line) => {
    const [, local = '', , state, , , , , , inode] = line.trim().split(/\s+/)
    const [, address, port] = /^([0-9A-F]{8}|[0-9A-F]{32}):([0-9A-F]{4})$/.exec(local) ?? []
    if (address === undefined || port === undefined || state !== WAITING[protocol]) return []
    return [{ protocol, host: readAddress(address), port: Number.parseInt(port, 16), inode: Number(inode) }]
  })
}

/** Four bytes at a time, each as the machine has it: the other way round, on all that this runs on. */
function readAddress(hex: string): string {
  const bytes = (hex.match(/.{8}/g) ?? []).flatMap((word) => [...Buffer.from(word, 'hex')].reverse())
  if (bytes.length === 4) return bytes.join('.')
  const groups = Array.from({ length: 8 }, (_, at) => ((bytes[2 * at] ?? 0) << 8) | (bytes[2 * at + 1] ?? 0))
  if (groups.slice(0, 5).every((group) => group === 0) && groups[5] === 0xffff) return bytes.slice(12).join('.')
  // As URLs have it: the longest run of zeros is left out.
  return new URL(`http://[${groups.map((group) => group.toString(16)).join(':')}]`).hostname.slice(1, -1)
}

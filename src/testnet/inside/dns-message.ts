/** The little of RFC 1035 that a server of A records needs. Pure. */

export const TYPE_A = 1
export const CLASS_IN = 1
export const RCODE = { ok: 0, formatError: 1, serverFailure: 2, nameError: 3, notImplemented: 4 } as const
export type Rcode = (typeof RCODE)[keyof typeof RCODE]

export interface DnsQuery {
  readonly id: number
  readonly recursionDesired: boolean
  /** As asked: resolvers mix upper and lower case to make forgery harder, and want it back as it was. */
  readonly name: string
  readonly type: number
  readonly class: number
  /** The question section, to be echoed. */
  readonly question: Uint8Array
}

const HEADER_LENGTH = 12
const RESPONSE = 0x8000
const OPCODE = 0x7800
const AUTHORITATIVE = 0x0400
const RECURSION_DESIRED = 0x0100
const RECURSION_AVAILABLE = 0x0080
const MAX_NAME_LENGTH = 255
const TTL_S = 60

/** Reads a plain query with one question; undefined for anything else, which deserves no answer. */
export function parseQuery(message: Uint8Array): DnsQuery | undefined {
  if (message.length < HEADER_LENGTH) return undefined
  const view = new DataView(message.buffer, message.byteOffset, message.length)
  const flags = view.getUint16(2)
  if (flags & (RESPONSE | OPCODE) || view.getUint16(4) !== 1) return undefined

  const labels: string[] = []
  let at = HEADER_LENGTH
  for (;;) {
    const length = message[at++]
    if (length === undefined || length > 63) return undefined // cut off, or a compression pointer
    if (length === 0) break
    if (at + length > message.length || at + length - HEADER_LENGTH >= MAX_NAME_LENGTH) return undefined
    labels.push(Buffer.from(message.subarray(at, at + length)).toString('latin1'))
    at += length
  }
  if (at + 4 > message.length) return undefined
  return {
    id: view.getUint16(0),
    recursionDesired: (flags & RECURSION_DESIRED) !== 0,
    name: labels.join('.'),
    type: view.getUint16(at),
    class: view.getUint16(at + 2),
    question: message.subarray(HEADER_LENGTH, at + 4),
  }
}

/** Writes the answer to `query`: an A record for each of `addresses`. */
export function encodeAnswer(query: DnsQuery, rcode: Rcode, addresses: readonly string[]): Buffer {
  const header = Buffer.alloc(HEADER_LENGTH)
  header.writeUInt16BE(query.id, 0)
  const recursion = RECURSION_AVAILABLE | (query.recursionDesired ? RECURSION_DESIRED : 0)
  header.writeUInt16BE(RESPONSE | AUTHORITATIVE | recursion | rcode, 2)
  header.writeUInt16BE(1, 4)
  header.writeUInt16BE(addresses.length, 6)
  return Buffer.concat([header, query.question, ...addresses.map(addressRecord)])
}

function addressRecord(address: string): Buffer {
  const record = Buffer.alloc(16)
  record.writeUInt16BE(0xc000 | HEADER_LENGTH, 0) // "the name at offset 12", which is the question's
  record.writeUInt16BE(TYPE_A, 2)
  record.writeUInt16BE(CLASS_IN, 4)
  record.writeUInt32BE(TTL_S, 6)
  record.writeUInt16BE(4, 10)
  address.split('.').forEach((part, index) => {
    record.writeUInt8(Number(part), 12 + index)
  })
  return record
}

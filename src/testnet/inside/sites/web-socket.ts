import { createHash } from 'node:crypto'
import type { IncomingMessage } from 'node:http'
import type { Duplex } from 'node:stream'

/** RFC 6455, section 1.3. */
const GUID = '258EAFA5-E914-47DA-95CA-C5AB0DC85B11'

const CLOSE = 0x8
const PING = 0x9
const PONG = 0xa

interface Frame {
  /** FIN and the reserved bits, as they came. */
  readonly flags: number
  readonly opcode: number
  readonly payload: Buffer
}

/** Answers a WebSocket handshake and sends every message back as it came, frame by frame, until the client closes. */
export function echoWebSocket(request: IncomingMessage, socket: Duplex, head: Buffer): void {
  socket.on('error', () => socket.destroy())
  const { 'sec-websocket-key': key, 'sec-websocket-version': version } = request.headers
  if (version !== '13' || key === undefined) {
    socket.end('HTTP/1.1 400 Bad Request\r\nconnection: close\r\ncontent-length: 0\r\n\r\n')
    return
  }
  const accept = createHash('sha1')
    .update(key + GUID)
    .digest('base64')
  socket.write(
    `HTTP/1.1 101 Switching Protocols\r\nupgrade: websocket\r\nconnection: Upgrade\r\nsec-websocket-accept: ${accept}\r\n\r\n`,
  )
  let received = Buffer.alloc(0)
  const receive = (chunk: Buffer) => {
    received = Buffer.concat([received, chunk])
    for (let next = readFrame(received); next; next = readFrame(received)) {
      received = received.subarray(next.size)
      const { frame } = next
      if (frame.opcode !== PONG) socket.write(writeFrame(frame.opcode === PING ? { ...frame, opcode: PONG } : frame))
      if (frame.opcode === CLOSE) socket.end()
    }
  }
  socket.on('data', receive)
  socket.on('end', () => socket.end())
  if (head.length > 0) receive(head)
}

/** RFC 6455, section 5.2. Undefined until the whole frame is there. */
function readFrame(bytes: Buffer): { readonly frame: Frame; readonly size: number } | undefined {
  const first = bytes[0] ?? 0
  const short = (bytes[1] ?? 0) & 0x7f
  const lengthBytes = short === 127 ? 8 : short === 126 ? 2 : 0
  const maskAt = 2 + lengthBytes
  if (bytes.length < maskAt + 4) return undefined
  const length =
    lengthBytes === 8 ? Number(bytes.readBigUInt64BE(2)) : lengthBytes === 2 ? bytes.readUInt16BE(2) : short
  const payloadAt = maskAt + 4 // a client masks all that it sends
  if (bytes.length < payloadAt + length) return undefined
  const payload = Buffer.from(bytes.subarray(payloadAt, payloadAt + length))
  for (let at = 0; at < length; at++) payload[at] = (payload[at] ?? 0) ^ (bytes[maskAt + (at & 3)] ?? 0)
  return { frame: { flags: first & 0xf0, opcode: first & 0x0f, payload }, size: payloadAt + length }
}

/** A server masks nothing. */
function writeFrame({ flags, opcode, payload }: Frame): Buffer {
  const { length } = payload
  const head = Buffer.alloc(length > 0xffff ? 10 : length > 125 ? 4 : 2)
  head[0] = flags | opcode
  head[1] = length > 0xffff ? 127 : length > 125 ? 126 : length
  if (length > 0xffff) head.writeBigUInt64BE(BigInt(length), 2)
  else if (length > 125) head.writeUInt16BE(length, 2)
  return Buffer.concat([head, payload])
}

const MAX_BYTES = 16 * 1024
/** RFC 8446 section 5.1: type, version (which begins with 3 in all versions of TLS) and length. */
const RECORD_HEADER_BYTES = 5
const HANDSHAKE = 0x16
const MAJOR_VERSION = 0x03
/** RFC 9110 section 9.2.1: methods that change nothing. */
const SAFE_REQUEST_LINE = /^(?:GET|HEAD|OPTIONS) [!-~]+ HTTP\/1\.[01]\r\n/
const HEAD_END = '\r\n\r\n'

/**
 * How many of the first bytes that a client sends through a tunnel may be delivered twice: they leave before the worker has
 * connected, and again with another worker when that fails. The beginning of a TLS handshake has no effect on a target;
 * what follows it (TLS 1.3's own early data) may have. A request by a method that changes nothing has none either, and its
 * head alone is safe: a second request may stand behind it. Of a protocol that is not known, nothing is.
 */
export function safeLength(bytes: Buffer): number {
  if (beginsTls(bytes)) return handshakeLength(bytes)
  const head = bytes.toString('latin1', 0, MAX_BYTES)
  if (!SAFE_REQUEST_LINE.test(head)) return 0
  const end = head.indexOf(HEAD_END)
  return end === -1 ? head.length : end + HEAD_END.length
}

/** Whether a client that begins with these bytes speaks TLS. */
export function beginsTls(bytes: Buffer): boolean {
  return bytes[0] === HANDSHAKE && bytes[1] === MAJOR_VERSION
}

/** The handshake records at the beginning, the last of them perhaps cut off. */
function handshakeLength(bytes: Buffer): number {
  let end = 0
  while (bytes[end] === HANDSHAKE && end + RECORD_HEADER_BYTES <= bytes.length)
    end += RECORD_HEADER_BYTES + bytes.readUInt16BE(end + 3)
  return Math.min(end, bytes.length, MAX_BYTES)
}

export type ResponseEncoding = 'auto' | 'text' | 'base64'

export interface EncodedBody {
  readonly body: string
  readonly body_encoding: 'text' | 'base64'
}

/** Types besides `text/*` whose bodies are text, and the structured suffixes of RFC 6839 and RFC 9512. */
const TEXT_TYPE =
  /^(?:text\/.+|application\/(?:json|xml|yaml|javascript|ecmascript|x-javascript|x-ndjson|json-seq|graphql|sql|toml|x-www-form-urlencoded)|.+\+(?:json|xml|yaml))$/
const CHARSET = /;\s*charset\s*=\s*"?([^\s;"]+)/i
/** In JSON a byte of text takes up to six characters, and a string in V8 has at most 2^29 of them. */
export const MAX_TEXT_BYTES = 64 * 1024 * 1024

/**
 * Writes a body as text or base64. `auto` takes text only when nothing is lost by it: the type says text (or there is no
 * type) and the charset, UTF-8 unless named, decodes without an error. `text` replaces what does not decode by U+FFFD.
 */
export function encodeBody(bytes: Uint8Array, contentType: string | undefined, wanted: ResponseEncoding): EncodedBody {
  const charset = CHARSET.exec(contentType ?? '')?.[1] ?? 'utf-8'
  if (wanted === 'text') return { body: decode(bytes, charset) ?? replaceFaults(bytes, charset), body_encoding: 'text' }
  if (wanted === 'auto' && isText(contentType) && bytes.length <= MAX_TEXT_BYTES) {
    const body = decode(bytes, charset)
    if (body !== undefined) return { body, body_encoding: 'text' }
  }
  const { buffer, byteOffset, byteLength } = bytes
  return { body: Buffer.from(buffer, byteOffset, byteLength).toString('base64'), body_encoding: 'base64' }
}

function isText(contentType: string | undefined): boolean {
  const [type = ''] = (contentType ?? '').split(';')
  return contentType === undefined || TEXT_TYPE.test(type.trim().toLowerCase())
}

/** Most are of it. It keeps nothing from one body to the next. */
const UTF_8 = new TextDecoder('utf-8', { fatal: true })

/** Undefined when the charset is unknown or a byte is not of it. */
function decode(bytes: Uint8Array, charset: string): string | undefined {
  try {
    const decoder = charset.toLowerCase() === 'utf-8' ? UTF_8 : new TextDecoder(charset, { fatal: true })
    return decoder.decode(bytes)
  } catch {
    return undefined
  }
}

function replaceFaults(bytes: Uint8Array, charset: string): string {
  try {
    return new TextDecoder(charset).decode(bytes)
  } catch {
    return new TextDecoder().decode(bytes) // an unknown charset
  }
}

/** The words and `KEY=VALUE` pairs of a line, quotes and escapes decoded. */
export interface Fields {
  readonly words: readonly string[]
  readonly values: ReadonlyMap<string, string>
}

const KEY = /[A-Za-z][\w-]*=/y

/** What Tor writes for a byte that it escapes: `\n`, `\t`, `\r` and octal. */
const ESCAPE = /\\([0-3][0-7]{0,2}|[4-7][0-7]?|.)/gs
const CONTROL_CHARACTERS: Readonly<Record<string, string>> = { n: '\n', t: '\t', r: '\r' }

/**
 * Splits a line at its spaces. The first `positional` words are words whatever they look like (a host name may hold a
 * `=`); after them `KEY=VALUE` and `KEY="VALUE"` are pairs, in any order, and the rest are words. The last of two equal
 * keys counts. Total: a quote that is not closed ends with the line.
 */
export function splitFields(line: string, positional: number): Fields {
  const words: string[] = []
  const values = new Map<string, string>()
  let at = 0
  while (at < line.length) {
    if (line[at] === ' ') {
      at++
      continue
    }
    const key = words.length < positional ? undefined : keyAt(line, at)
    const { value, end } = valueAt(line, key === undefined ? at : at + key.length + 1)
    if (key === undefined) words.push(value)
    else values.set(key, value)
    at = end
  }
  return { words, values }
}

/**
 * Decodes a value if the whole of it is one quoted string. Tor means QuotedString (a backslash stands for the next
 * character) but writes C strings; this reads both, as control-spec 2.1.1 advises.
 */
export function unquote(text: string): string {
  const { value, end } = valueAt(text, 0)
  return end === text.length ? value : text
}

/** A comma-separated list; empty for nothing. */
export function splitList(text: string | undefined): readonly string[] {
  return text ? text.split(',') : []
}

/** A decimal number; undefined for anything else. */
export function parseNumber(text: string | undefined): number | undefined {
  return text !== undefined && /^-?\d{1,15}(\.\d{1,15})?$/.test(text) ? Number(text) : undefined
}

function keyAt(line: string, at: number): string | undefined {
  KEY.lastIndex = at
  return KEY.test(line) ? line.slice(at, KEY.lastIndex - 1) : undefined
}

function valueAt(line: string, start: number): { readonly value: string; readonly end: number } {
  if (line[start] !== '"') {
    const space = line.indexOf(' ', start)
    const end = space === -1 ? line.length : space
    return { value: line.slice(start, end), end }
  }
  const quote = line.indexOf('"', start + 1)
  const plain = line.slice(start + 1, quote === -1 ? line.length : quote)
  if (!plain.includes('\\')) return { value: plain, end: start + plain.length + 2 }
  let end = start + 1
  while (end < line.length && line[end] !== '"') end += line[end] === '\\' ? 2 : 1
  return { value: unescapeText(line.slice(start + 1, end)), end: end + 1 }
}

function unescapeText(text: string): string {
  return text.replace(ESCAPE, (_, escaped: string) =>
    /[0-7]/.test(escaped) ? String.fromCharCode(parseInt(escaped, 8)) : (CONTROL_CHARACTERS[escaped] ?? escaped),
  )
}

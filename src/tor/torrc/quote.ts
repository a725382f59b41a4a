/**
 * A value as tor's parser reads it back: bare where that is safe, else in quotes with C escapes ("THE CONFIGURATION FILE
 * FORMAT" of tor(1)). Bare, a `#` begins a comment and a `\` at the end joins the next line. Throws `RangeError` for what
 * no line can hold.
 */
export function quote(value: string): string {
  if (hasControlCharacter(value)) throw new RangeError('Cannot write a torrc value: it has a control character')
  return /^[^\s"#\\](?:[^"#\\]*[^\s"#\\])?$/.test(value) ? value : cString(value)
}

export function cString(value: string): string {
  return `"${value.replace(/["\\]/g, '\\$&')}"`
}

/** The value that tor reads from what follows an option's name, or undefined if it reads none. */
export function unquote(text: string): string | undefined {
  const trimmed = text.trim()
  if (!trimmed.startsWith('"')) return trimmed.replace(/#.*$/, '').trimEnd()
  const [, body] = /^"((?:[^"\\]|\\.)*)"\s*(?:#.*)?$/.exec(trimmed) ?? []
  // Octal, hexadecimal and other escapes serve nobody here but to hide a value from the checks.
  if (body === undefined || /\\[^"\\]/.test(body.replace(/\\\\/g, ''))) return undefined
  return body.replace(/\\(.)/g, '$1')
}

export function hasControlCharacter(text: string): boolean {
  return /\p{Cc}/u.test(text)
}

/**
 * A QuotedString (control-spec 2.1): safe for any text without CR, LF and NUL, which no control command can carry.
 * `text` is bytes, one character each. Throws TypeError, which does not repeat the text: it may be secret.
 */
export function quote(text: string): string {
  requireLine(text, 'Cannot quote an argument')
  return `"${text.replace(/["\\]/g, '\\$&')}"`
}

/** An argument that stands bare: printable ASCII without space and quote. The error does not repeat it: see above. */
export function word(text: string): string {
  if (/^[!#-~]+$/.test(text)) return text
  throw new TypeError('Cannot send an argument: it is not one word of printable ASCII')
}

/** The name of an option, event or signal, or the id of a circuit or stream. */
export function identifier(text: string): string {
  if (/^\w+$/.test(text)) return text
  throw new TypeError(`Cannot send a name: it is not of letters and digits: ${JSON.stringify(text)}`)
}

/** Throws TypeError unless `text` fits in one command line: bytes, and none that ends the line or the string. */
export function requireLine(text: string, action: string): void {
  for (let at = 0; at < text.length; at++) {
    const code = text.charCodeAt(at)
    if (code === 0 || code === 0x0a || code === 0x0d || code > 0xff) {
      throw new TypeError(`${action}: character ${at} is CR, LF, NUL or no byte`)
    }
  }
}

const [QUOTE, BACKSLASH] = [0x22, 0x5c]
const [LIST, OBJECT, LIST_END, OBJECT_END] = [0x5b, 0x7b, 0x5d, 0x7d]

/**
 * Whether JSON has more than `most` lists and objects within each other. Looks at bytes alone, since to parse millions of levels takes
 * seconds in which nobody else is served; of what is no JSON it may say either.
 */
export function nestsDeeper(json: Uint8Array, most: number): boolean {
  let depth = 0
  let isInString = false
  for (let at = 0; at < json.length; at++) {
    const byte = json[at] as number
    if (isInString) {
      if (byte === BACKSLASH) at++
      else if (byte === QUOTE) isInString = false
    } else if (byte === QUOTE) isInString = true
    else if (byte === LIST || byte === OBJECT) {
      if (++depth > most) return true
    } else if (byte === LIST_END || byte === OBJECT_END) depth--
  }
  return false
}

const NAMES = new Intl.DisplayNames(['en'], { type: 'region' })
const FIRST_REGIONAL_LETTER = 0x1f1e6
const FIRST_LETTER = 'a'.charCodeAt(0)

/** `Germany` of `de`; the code itself where there is no such country. */
export function countryName(code: string): string {
  return isCode(code) ? (NAMES.of(code.toUpperCase()) ?? code) : code
}

/** The flag as one sign of Unicode: two regional letters. Empty for what is no code. */
export function flagOf(code: string): string {
  if (!isCode(code)) return ''
  return String.fromCodePoint(
    ...[...code.toLowerCase()].map((letter) => FIRST_REGIONAL_LETTER + letter.charCodeAt(0) - FIRST_LETTER),
  )
}

function isCode(code: string): boolean {
  return /^[a-z]{2}$/i.test(code)
}

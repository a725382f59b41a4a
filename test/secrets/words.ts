/** Words that stand for secrets in tests: each in one field, so that a hit says which field has leaked. */
export const STEM = 'zq7planted'

/** A word for a field that appears nowhere else, of small letters and digits. */
export function wordFor(field: string): string {
  return `${STEM}${field}`
}

export interface Hit {
  readonly where: string
  readonly word: string
  readonly line: string
}

/** All that is found of planted words, also of those in base64 or hex, in the texts, by where they are from. */
export function hitsIn(texts: Readonly<Record<string, string>>, mayBe: (hit: Hit) => boolean = () => false): Hit[] {
  return Object.entries(texts).flatMap(([where, text]) =>
    text
      .split('\n')
      .flatMap((line) => wordsOf(line).map((word) => ({ where, word, line: line.slice(0, 300) })))
      .filter((hit) => !mayBe(hit)),
  )
}

const PLAIN = new RegExp(`${STEM}[a-z0-9]*|${Buffer.from(STEM).toString('hex')}`, 'gi')
const BASE64 = new RegExp([0, 1, 2].map(inBase64).join('|'), 'g')

function wordsOf(line: string): string[] {
  return [PLAIN, BASE64].flatMap((pattern) => [...line.matchAll(pattern)].map(([word]) => word))
}

/** The characters that are of the stem alone when so many bytes come before it, whatever these and the next ones are. */
function inBase64(before: number): string {
  const text = Buffer.from(`${'x'.repeat(before)}${STEM}`).toString('base64')
  return text.slice(Math.ceil((before * 8) / 6), Math.floor(((before + STEM.length) * 8) / 6))
}

import type { Passage } from './render.ts'

export interface Found {
  readonly path: string
  readonly page: string
  readonly heading: string
  readonly anchor: string
  /** What stands around the first word that was found. */
  readonly excerpt: string
}

export interface Searched {
  readonly path: string
  readonly title: string
  readonly passages: readonly Passage[]
}

/** Of a question, so that nobody can make us look for a book in a book. */
export const MAX_QUESTION = 100
const MAX_WORDS = 8
const MAX_FOUND = 30
const EXCERPT = { before: 60, after: 140 }

/** In small letters, without what is too short to tell. */
export function wordsOf(question: string): readonly string[] {
  const words = question
    .slice(0, MAX_QUESTION)
    .toLowerCase()
    .split(/[\s,;"'`]+/)
  return [...new Set(words.filter((word) => word.length >= 2))].slice(0, MAX_WORDS)
}

/** The passages that have all words, the best first: a word in a heading tells more than one in the text. */
export function search(pages: readonly Searched[], question: string): readonly Found[] {
  const words = wordsOf(question)
  if (words.length === 0) return []
  const rated = pages.flatMap(({ path, title, passages }) =>
    passages.flatMap((passage) => {
      const rate = rateOf(passage, title, words)
      return rate === 0 ? [] : [{ rate, path, page: title, passage }]
    }),
  )
  rated.sort((one, other) => other.rate - one.rate)
  return rated.slice(0, MAX_FOUND).map(({ path, page, passage }) => ({
    path,
    page,
    heading: passage.text,
    anchor: passage.anchor,
    excerpt: excerptOf(passage, words),
  }))
}

/** Five times are as good as fifty. */
function timesIn(text: string, word: string): number {
  let times = 0
  for (let at = text.indexOf(word); at >= 0 && times < 5; at = text.indexOf(word, at + 1)) times += 1
  return times
}

/** 0 when a word is missing. */
function rateOf(passage: Passage, title: string, words: readonly string[]): number {
  const heading = `${passage.text} ${passage.level === 1 ? '' : title}`.toLowerCase()
  let rate = 0
  for (const word of words) {
    const inHeading = heading.includes(word) ? (passage.level === 1 ? 15 : 10) : 0
    const inBody = timesIn(passage.low, word)
    if (inHeading + inBody === 0) return 0
    rate += inHeading + inBody
  }
  return rate
}

function excerptOf({ body, low }: Passage, words: readonly string[]): string {
  const places = words.map((word) => low.indexOf(word)).filter((place) => place >= 0)
  const start = Math.max(0, Math.min(...(places.length === 0 ? [0] : places)) - EXCERPT.before)
  const end = start + EXCERPT.before + EXCERPT.after
  return `${start > 0 ? '…' : ''}${body.slice(start, end).trim()}${end < body.length ? '…' : ''}`
}

/** Above this share of its length another word is not a slip of the pen. */
const MOST_CHANGED = 0.4
/** Nobody meant a name as long as that. */
const LONGEST = 100

/** The one of `known` that `word` most likely was meant to be; undefined when none is near. Letters count, whatever their case. */
export function nearest(word: string, known: Iterable<string>): string | undefined {
  if (word.length > LONGEST) return undefined
  const meant = word.toLowerCase()
  let best: { readonly name: string; readonly edits: number } | undefined
  for (const name of known) {
    const edits = editDistance(meant, name.toLowerCase())
    const most = Math.max(1, Math.floor(MOST_CHANGED * Math.max(word.length, name.length)))
    if (edits <= most && edits < (best?.edits ?? Number.POSITIVE_INFINITY)) best = { name, edits }
  }
  return best?.name
}

/** How many letters have to be put in, left out, exchanged or swapped with their neighbour to make one word of the other. */
export function editDistance(from: string, to: string): number {
  let before: number[] = []
  let row = Array.from({ length: to.length + 1 }, (_, n) => n)
  for (let i = 1; i <= from.length; i++) {
    const next = [i]
    for (let j = 1; j <= to.length; j++) {
      const isSame = from[i - 1] === to[j - 1]
      let edits = Math.min((row[j] ?? 0) + 1, (next[j - 1] ?? 0) + 1, (row[j - 1] ?? 0) + (isSame ? 0 : 1))
      const isSwapped = i > 1 && j > 1 && from[i - 1] === to[j - 2] && from[i - 2] === to[j - 1]
      if (isSwapped) edits = Math.min(edits, (before[j - 2] ?? 0) + 1)
      next.push(edits)
    }
    before = row
    row = next
  }
  return row[to.length] ?? 0
}

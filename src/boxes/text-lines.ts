/** The text with each of `lines` in it, once: those that it lacks come at its end. */
export function addLines(text: string, lines: readonly string[]): string {
  const missing = missingLines(text, lines)
  if (missing.length === 0) return text
  return `${text}${text === '' || text.endsWith('\n') ? '' : '\n'}${missing.join('\n')}\n`
}

export function removeLines(text: string, lines: readonly string[]): string {
  return text
    .split('\n')
    .filter((line) => !lines.includes(line))
    .join('\n')
}

export function missingLines(text: string, lines: readonly string[]): readonly string[] {
  const present = new Set(text.split('\n'))
  return lines.filter((line) => !present.has(line))
}

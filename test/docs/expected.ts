/** Whether `seen` has the lines of `expected`, in this order: blanks count once, and … stands for anything on a line. */
export function hasLines(seen: string, expected: string): boolean {
  const lines = expected.trim().split('\n').map(patternOf)
  let at = 0
  for (const line of seen.split('\n'))
    if (at < lines.length && lines[at]?.test(line.replaceAll(/\s+/g, ' ').trim())) at += 1
  return at === lines.length
}

function patternOf(line: string): RegExp {
  const parts = line.trim().replaceAll(/\s+/g, ' ').split('…')
  return new RegExp(`^${parts.map((part) => part.replaceAll(/[.*+?^${}()|[\]\\]/g, '\\$&')).join('.*')}$`)
}

/**
 * UCI's configuration files, edited as text: only our own sections are touched, and everything else, comments included, stays
 * byte for byte as it was. (`uci commit` writes the whole file anew.) Text is one character a byte: see `BoxShell`.
 */

/** A section that is ours, and what is to stand in it. */
export interface UciSection {
  readonly type: string
  readonly name: string
  readonly options: ReadonlyMap<string, UciValue>
}

/** An option's value, or the values of a list. */
export type UciValue = string | readonly string[]

interface FoundSection {
  readonly type: string
  readonly name: string | undefined
  readonly options: ReadonlyMap<string, UciValue>
  /** Indices of its lines: the header's, and the one after its last option. */
  readonly start: number
  readonly end: number
}

/** Sections of a file in their order; anonymous ones have no name. Lines that UCI would refuse are passed over. */
export function parseUci(text: string): readonly FoundSection[] {
  const sections: (Omit<FoundSection, 'options'> & { options: Map<string, UciValue> })[] = []
  text.split('\n').forEach((line, index) => {
    const [keyword, first = '', second] = wordsOf(line)
    const current = sections.at(-1)
    if (keyword === 'config') {
      sections.push({ type: first, name: second, options: new Map(), start: index, end: index + 1 })
    } else if (current && second !== undefined && (keyword === 'option' || keyword === 'list')) {
      const earlier = current.options.get(first)
      const isList = keyword === 'list'
      current.options.set(first, isList ? [...(Array.isArray(earlier) ? earlier : []), second] : second)
      sections[sections.length - 1] = { ...current, end: index + 1 }
    }
  })
  return sections
}

export function findSection(text: string, name: string): FoundSection | undefined {
  return parseUci(text).find((section) => section.name === name)
}

/** The file with the section in it: its options as wanted, options that somebody added to it left alone. */
export function placeSection(text: string, { type, name, options }: UciSection): string {
  const found = findSection(text, name)
  if (!found) {
    const lines = [`config ${type} '${name}'`, ...[...options].flatMap(([key, value]) => linesOf(key, value))]
    return `${text}${text === '' || text.endsWith('\n\n') ? '' : text.endsWith('\n') ? '\n' : '\n\n'}${lines.join('\n')}\n`
  }
  const wrong = new Map([...options].filter(([key, value]) => !isSame(found.options.get(key), value)))
  if (wrong.size === 0) return text
  const lines = text.split('\n')
  const kept = lines.slice(found.start + 1, found.end).filter((line) => {
    const [keyword, key = ''] = wordsOf(line)
    return !((keyword === 'option' || keyword === 'list') && wrong.has(key))
  })
  const added = [...wrong].flatMap(([key, value]) => linesOf(key, value))
  lines.splice(found.start, found.end - found.start, lines[found.start] ?? '', ...kept, ...added)
  return lines.join('\n')
}

/** The file without the section, and without the blank line before it. */
export function removeSection(text: string, name: string): string {
  const found = findSection(text, name)
  if (!found) return text
  const lines = text.split('\n')
  const start = found.start > 0 && lines[found.start - 1] === '' ? found.start - 1 : found.start
  lines.splice(start, found.end - start)
  return lines.join('\n')
}

/** The file with `value` in a list of the named section, which is there. */
export function addToList(text: string, name: string, key: string, value: string): string {
  const found = findSection(text, name)
  if (!found || listOf(found.options.get(key)).includes(value)) return text
  const lines = text.split('\n')
  lines.splice(found.end, 0, ...linesOf(key, [value]))
  return lines.join('\n')
}

export function removeFromList(text: string, name: string, key: string, value: string): string {
  const found = findSection(text, name)
  if (!found) return text
  const lines = text.split('\n').filter((line, index) => {
    if (index < found.start || index >= found.end) return true
    const words = wordsOf(line)
    return !(words[0] === 'list' && words[1] === key && words[2] === value)
  })
  return lines.join('\n')
}

/** What `placeSection` would change, as lines of `uci`. Values of secret options are not shown. */
export function sectionChanges(config: string, text: string, section: UciSection): readonly string[] {
  const found = findSection(text, section.name)
  const at = `${config}.${section.name}`
  const changes = found ? [] : [`uci set ${at}=${section.type}`]
  for (const [key, value] of section.options) {
    if (isSame(found?.options.get(key), value)) continue
    const shown = (one: string) => (/private_key|preshared_key/.test(key) ? '(secret)' : quote(one))
    if (typeof value === 'string') changes.push(`uci set ${at}.${key}=${shown(value)}`)
    else {
      if (found?.options.has(key)) changes.push(`uci delete ${at}.${key}`)
      changes.push(...value.map((one) => `uci add_list ${at}.${key}=${shown(one)}`))
    }
  }
  return changes
}

export function listOf(value: UciValue | undefined): readonly string[] {
  return value === undefined ? [] : typeof value === 'string' ? [value] : value
}

function linesOf(key: string, value: UciValue): string[] {
  if (typeof value === 'string') return [`\toption ${key} ${quote(value)}`]
  return value.map((one) => `\tlist ${key} ${quote(one)}`)
}

function quote(value: string): string {
  return `'${value.replaceAll("'", "'\\''")}'`
}

function isSame(found: UciValue | undefined, wanted: UciValue): boolean {
  if (found === undefined) return false
  const [a, b] = [listOf(found), listOf(wanted)]
  return a.length === b.length && a.every((one, index) => one === b[index])
}

/** The words of a line by UCI's rules: blanks part them, quotes of both kinds and backslashes join, `#` begins a comment. */
function wordsOf(line: string): readonly string[] {
  const words: string[] = []
  for (const [word] of line.matchAll(/(?:'[^']*'|"(?:[^"\\]|\\.)*"|\\.|[^\s'"\\])+/g)) {
    if (word.startsWith('#')) break
    words.push(
      word.replace(
        /'([^']*)'|"((?:[^"\\]|\\.)*)"|\\(.)/g,
        (_, single?: string, double?: string, escaped?: string) =>
          single ?? double?.replace(/\\(.)/g, '$1') ?? escaped ?? '',
      ),
    )
  }
  return words
}

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

/** Sections of a file in their order; anonymous ones have no name. What UCI would refuse is passed over. */
export function parseUci(text: string): readonly FoundSection[] {
  const sections: (Omit<FoundSection, 'options'> & { options: Map<string, UciValue> })[] = []
  for (const { words, start, end } of statementsOf(text)) {
    const [keyword = '', first = '', second] = words
    const current = sections.at(-1)
    if (isKeyword(keyword, 'config')) {
      sections.push({ type: first, name: second, options: new Map(), start, end })
    } else if (current && second !== undefined && (isKeyword(keyword, 'option') || isKeyword(keyword, 'list'))) {
      const earlier = current.options.get(first)
      current.options.set(first, isKeyword(keyword, 'list') ? [...listOf(earlier), second] : second)
      sections[sections.length - 1] = { ...current, end }
    }
  }
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
    return `${text}${text === '' ? '' : text.endsWith('\n') ? '\n' : '\n\n'}${lines.join('\n')}\n`
  }
  const wrong = new Map([...options].filter(([key, value]) => !isSame(found.options.get(key), value)))
  if (wrong.size === 0) return text
  const added = [...wrong].flatMap(([key, value]) => linesOf(key, value))
  const lines = text.split('\n')
  lines.splice(found.end, 0, ...added)
  return withoutStatements(lines.join('\n'), found, ([keyword = '', key = '']) => {
    return !isKeyword(keyword, 'config') && wrong.has(key)
  })
}

/** The file without the section, however often it begins anew, and without the blank line before it. */
export function removeSection(text: string, name: string): string {
  const found = findSection(text, name)
  if (!found) return text
  const lines = text.split('\n')
  const start = found.start > 0 && lines[found.start - 1]?.trim() === '' ? found.start - 1 : found.start
  lines.splice(start, found.end - start)
  return removeSection(lines.join('\n'), name)
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
  return withoutStatements(text, found, ([keyword = '', one, item]) => {
    return isKeyword(keyword, 'list') && one === key && item === value
  })
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

function isKeyword(word: string, keyword: string): boolean {
  return word === keyword || word === keyword[0]
}

function withoutStatements(text: string, within: FoundSection, isGone: (words: readonly string[]) => boolean): string {
  const gone = statementsOf(text).filter(({ words, start, end }) => {
    return start >= within.start && end <= within.end && isGone(words)
  })
  return text
    .split('\n')
    .filter((_, index) => gone.every(({ start, end }) => index < start || index >= end))
    .join('\n')
}

interface Statement {
  readonly words: readonly string[]
  /** Indices of its first line, and of the one after its last. */
  readonly start: number
  readonly end: number
}

/** By UCI's rules: blanks part words, quotes of both kinds and backslashes join them and lines, `#` begins a comment, `;` ends. */
const TOKEN = /(?<word>(?:'[^']*'|"(?:[^"\\]|\\[\s\S])*"|\\[\s\S]|[^\s'"\\#;])+)|(?<end>#.*|;|\n)|[\s\S]/g

function statementsOf(text: string): readonly Statement[] {
  const statements: Statement[] = []
  let words: string[] = []
  let start = 0
  let line = 0
  const close = () => {
    if (words.length > 0) statements.push({ words, start, end: line + 1 })
    words = []
  }
  for (const { 0: token, groups } of text.matchAll(TOKEN)) {
    if (groups?.end !== undefined) close()
    if (groups?.word !== undefined) {
      if (words.length === 0) start = line
      words.push(unquoted(token))
    }
    line += token.split('\n').length - 1
  }
  close()
  return statements
}

function unquoted(word: string): string {
  return word.replace(
    /'([^']*)'|"((?:[^"\\]|\\[\s\S])*)"|\\([\s\S])/g,
    (_, single?: string, double?: string, escaped?: string) =>
      single ?? double?.replace(/\\([\s\S])/g, '$1') ?? (escaped === '\n' ? '' : escaped) ?? '',
  )
}

import { readFileSync, statSync } from 'node:fs'
import {
  type Document,
  isAlias,
  isMap,
  isNode,
  isScalar,
  isSeq,
  LineCounter,
  parseDocument,
  visit,
  type YAMLError,
} from 'yaml'
import { ConfigError, type Place } from './config-error.ts'

/** What a YAML file says. */
export interface YamlFile {
  readonly fields: Readonly<Record<string, unknown>>
  readonly isEmpty: boolean
  /** Where the value stands, or its name; what is not there is where it should be. */
  placeOf(path: readonly PropertyKey[], of?: 'value' | 'name'): Place
}

/** A thousand workers with all that can be said of them are a quarter of it. */
const MAX_BYTES = 1024 * 1024
/** An alias of lists of aliases would be written out at full length. */
const MAX_ALIASES = 100
const MAX_FAULTS = 100
const MAX_NAME = 64
/** What we take has 4. */
const MAX_DEPTH = 32

/** Reads a file of fields. Throws a `ConfigError` with all that is wrong with it as YAML. */
export function readYamlFile(path: string): YamlFile {
  return parseYaml(readText(path), path)
}

/** `path`: as which places name it. */
export function parseYaml(text: string, path: string): YamlFile {
  const lines = new LineCounter()
  const placeAt = (offset: number): Place => {
    const { line, col } = lines.linePos(offset)
    return { kind: 'file', file: path, line: Math.max(1, line), column: Math.max(1, col) }
  }
  const refuse = (message: string, offset = 0) => new ConfigError([{ field: '', place: placeAt(offset), message }])

  if (nestsDeeper(text)) throw refuse(`the file nests deeper than ${MAX_DEPTH} levels`)
  // Its own look for names that are there twice takes a minute for some ten thousand.
  const document = parseDocument(text, { lineCounter: lines, prettyErrors: false, uniqueKeys: false })
  const faults = [...document.errors, ...document.warnings].slice(0, MAX_FAULTS).map((fault) => ({
    field: '',
    place: placeAt(fault.pos[0]),
    message: inOurWords(fault),
  }))
  if (faults.length === 0)
    for (const { name, offset } of repeatedNames(document).slice(0, MAX_FAULTS))
      faults.push({ field: '', place: placeAt(offset), message: `the field ${name} is there more than once here` })
  if (faults.length > 0) throw new ConfigError(faults)

  const value = toValue(document, refuse)
  const isEmpty = value === null || value === undefined
  if (!isEmpty && (typeof value !== 'object' || Array.isArray(value))) {
    const found = Array.isArray(value) ? 'a list' : 'a single value'
    throw refuse(`expected fields, such as "listen: 127.0.0.1:32211", not ${found}`, startOf(document.contents))
  }
  return {
    fields: isEmpty ? {} : { ...value },
    isEmpty,
    placeOf: (at, of = 'value') => placeAt(offsetOf(document, at, of)),
  }
}

function readText(path: string): string {
  const unreadable = (why: string) => new ConfigError([`${path}: cannot be read: ${why}`])
  try {
    const about = statSync(path)
    const { size } = about
    if (size > MAX_BYTES) throw unreadable(`it has ${size} bytes, and may have ${MAX_BYTES}`)
    // A device never ends, and a pipe that nobody writes to holds up everything. Those of a shell, `<(command)`, have a writer.
    const isPipeOfShell = about.isFIFO() && /^\/(?:dev|proc)\//.test(path)
    if (!about.isFile() && !isPipeOfShell) throw unreadable('it is no file')
    return new TextDecoder('utf-8', { fatal: true }).decode(readFileSync(path))
  } catch (error) {
    if (error instanceof ConfigError) throw error
    if (error instanceof TypeError) throw unreadable('it is not text in UTF-8')
    throw unreadable(error instanceof Error ? error.message : String(error))
  }
}

/** Without parsing, which would take as many frames of the stack. Brackets in texts and comments count, too: nobody has so many. */
function nestsDeeper(text: string): boolean {
  let depth = 0
  for (const sign of text) {
    if (sign === '[' || sign === '{') depth++
    if ((sign === ']' || sign === '}') && depth > 0) depth--
    if (depth > MAX_DEPTH) return true
  }
  // Blocks: each level is indented by one blank more, or begins with a dash more.
  return text.split('\n').some((line) => (/^(?:[ -]|\?\s)*/.exec(line)?.[0].length ?? 0) > 8 * MAX_DEPTH)
}

function toValue(document: Document, refuse: (message: string, offset?: number) => ConfigError): unknown {
  const anchors = new Set<string>()
  let aliases = 0
  visit(document, {
    Node(_, node) {
      if (!isAlias(node)) {
        if (node.anchor !== undefined) anchors.add(node.anchor)
        return
      }
      if (++aliases > MAX_ALIASES) throw refuse(`there are more aliases than ${MAX_ALIASES}`, startOf(node))
      if (!anchors.has(node.source))
        throw refuse(`there is no anchor &${node.source} before the alias *${node.source}`, startOf(node))
    },
  })
  try {
    return document.toJS({ maxAliasCount: MAX_ALIASES })
  } catch (error) {
    if (!(error instanceof ReferenceError)) throw error
    throw refuse('its aliases stand for more than they may: write out what they stand for')
  }
}

/** Without the lines of the file, which may have a secret. */
function inOurWords({ code, message }: YAMLError): string {
  switch (code) {
    case 'TAB_AS_INDENT':
      return 'there is a tab: expected blanks before a field'
    case 'MULTIPLE_DOCS':
      return 'there is a second document: expected one, without a line of "---" in it'
    case 'TAG_RESOLVE_FAILED':
      return 'there is a tag (!name): expected plain values'
    default:
      return `it is not YAML: ${message.split('\n')[0]}`
  }
}

function repeatedNames(document: Document): readonly { readonly name: string; readonly offset: number }[] {
  const repeated: { name: string; offset: number }[] = []
  visit(document, {
    Map(_, { items }) {
      const seen = new Set<string>()
      for (const { key } of items) {
        const name = String(isScalar(key) ? key.value : key)
        if (seen.has(name)) repeated.push({ name: name.slice(0, MAX_NAME), offset: startOf(key) })
        seen.add(name)
      }
    },
  })
  return repeated
}

function offsetOf(document: Document, path: readonly PropertyKey[], of: 'value' | 'name'): number {
  let at: unknown = document.contents
  let found = startOf(at)
  for (const key of path) {
    if (isAlias(at)) return found
    let name: unknown
    if (isMap(at)) {
      const pair = at.items.find(({ key: own }) => String(isScalar(own) ? own.value : own) === String(key))
      if (pair === undefined) return found
      name = pair.key
      at = pair.value
    } else if (isSeq(at) && typeof key === 'number') at = at.items[key]
    else return found
    const isWanted = of === 'name' && key === path.at(-1) && isNode(name)
    found = isNode(at) && !isWanted && !isMap(at) ? startOf(at, found) : startOf(name ?? at, found)
  }
  return found
}

function startOf(node: unknown, otherwise = 0): number {
  return isNode(node) ? (node.range?.[0] ?? otherwise) : otherwise
}

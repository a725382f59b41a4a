/** What the schema has against a configuration, in words. */
import type { z } from 'zod'
import { nearest } from '../lib/nearest.ts'
import { branchesOf, configFields, namesAt, schemaAt } from './fields.ts'
import type { FieldSchema } from './json-schema.ts'

export interface IssueFault {
  readonly path: readonly PropertyKey[]
  /** Whether it is the name that is wrong, rather than the value. */
  readonly isUnknown: boolean
  readonly message: string
}

type Issue = z.core.$ZodIssue

/** Fields in which somebody may have put the secret itself, instead of the file that has it. */
const OF_SECRETS = /(?:file|password|secret|token|key)$/
const MAX_SHOWN = 64
/** Its own words, which say what kind of value a program has, not what is to be written. */
const OF_ZOD = /^(?:Invalid|Too|Unrecognized)/

/** One after the other: to find words for hundreds of thousands takes minutes. */
export function* issueFaults(issues: readonly Issue[], document: unknown): Generator<IssueFault, void> {
  for (const issue of issues) yield* faultsOf(issue, document)
}

function* faultsOf(issue: Issue, document: unknown): Generator<IssueFault, void> {
  const { path } = issue
  const value = path.reduce<unknown>((at, key) => (at as Record<PropertyKey, unknown> | undefined)?.[key], document)
  if (issue.code === 'unrecognized_keys') {
    for (const key of issue.keys) yield { path: [...path, key], isUnknown: true, message: unknownField(path, key) }
    return
  }
  if (issue.code === 'invalid_union' && isFields(value)) {
    const meant = issue.errors.find((own) => !own.some((each) => each.path.length === 0 && isOfType(each)))
    if (meant !== undefined) {
      for (const own of meant) yield* faultsOf({ ...own, path: [...path, ...own.path] } as Issue, document)
      return
    }
  }
  const schema = schemaAt(path)
  const isOurs = !OF_ZOD.test(issue.message)
  const expected = isOurs || schema === undefined ? issue.message : `expected ${inWords(schema)}`
  const message = `${expected}${shown(value, path)}${suggestion(value, schema)}`
  yield { path, isUnknown: false, message }
}

/** Whether it says that the value is of another kind altogether. */
function isOfType({ code }: Issue): boolean {
  return code === 'invalid_type' || code === 'invalid_value'
}

function isFields(value: unknown): value is Record<string, unknown> {
  return typeof value === 'object' && value !== null && !Array.isArray(value)
}

function shown(value: unknown, path: readonly PropertyKey[]): string {
  if (value === undefined) return '; it is missing'
  if (value === null) return ', not an empty value'
  if (Array.isArray(value)) return ', not a list'
  if (typeof value === 'object') return ', not fields'
  if (OF_SECRETS.test(path.map(String).join('.'))) return ''
  return `, not ${JSON.stringify(withoutPassword(value)).slice(0, MAX_SHOWN)}`
}

function withoutPassword(value: unknown): unknown {
  return typeof value === 'string' ? value.replace(/\/\/[^/?#]*@/, '//***@') : value
}

function suggestion(value: unknown, schema: FieldSchema | undefined): string {
  if (typeof value !== 'string' || schema === undefined) return ''
  const meant = nearest(value, wordsOf(schema))
  return meant === undefined ? '' : `; did you mean ${meant}?`
}

function unknownField(above: readonly PropertyKey[], key: string): string {
  const names = namesAt(above)
  // Others of its kind may have it.
  if (names.includes(key)) return 'there is no such field here'
  const here = nearest(key, names)
  if (here !== undefined) return `there is no such field; did you mean ${here}?`
  const elsewhere = configFields().find(({ path }) => path.at(-1) === key)
  return elsewhere === undefined
    ? 'there is no such field'
    : `there is no such field here; did you mean ${elsewhere.name}?`
}

/** Words of which one may be the value. */
function wordsOf(schema: FieldSchema): readonly string[] {
  return branchesOf(schema).flatMap((each) => {
    const kind = each.properties?.kind?.const
    return [...(each.enum ?? []), each.const, kind].filter((word) => typeof word === 'string')
  })
}

function inWords(schema: FieldSchema): string {
  const words = wordsOf(schema)
  if (words.length > 0) return listed(words)
  const [first = schema] = branchesOf(schema)
  switch (first.type) {
    case 'object':
      return `fields, such as ${listed(Object.keys(first.properties ?? {}).slice(0, 3))}`
    case 'array':
      return 'a list'
    case 'boolean':
      return 'true or false'
    case 'integer':
    case 'number':
      return `a ${first.type === 'integer' ? 'whole number' : 'number'}${rangeOf(first)}`
    default:
      return 'a text'
  }
}

function rangeOf({ minimum, maximum }: FieldSchema): string {
  return minimum === undefined || maximum === undefined ? '' : ` from ${minimum} to ${maximum}`
}

function listed(words: readonly string[]): string {
  const last = words.at(-1) ?? ''
  return words.length < 2 ? last : `${words.slice(0, -1).join(', ')} or ${last}`
}

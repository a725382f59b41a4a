import { nearest } from '../lib/nearest.ts'
import type { ConfigFault } from './config-error.ts'
import { branchesOf, type ConfigField, configFields } from './fields.ts'

export type Environment = Readonly<Record<string, string | undefined>>

const PREFIX = 'CBTOR_'

/** Those that set no field: the file, and the key that commands show to a service. */
export const OTHER_VARIABLES: readonly string[] = ['CBTOR_CONFIG', 'CBTOR_KEY']

/** A field as a variable sets it. */
export interface SetByVariable {
  readonly variable: string
  readonly path: readonly string[]
  readonly value: unknown
}

/** `health.check_interval` is set by `CBTOR_HEALTH_CHECK_INTERVAL`. */
export function variableOf({ path }: Pick<ConfigField, 'path'>): string {
  return `${PREFIX}${path.join('_').toUpperCase()}`
}

/** What the environment sets, sections before what is in them; and variables that set nothing, as faults. */
export function readVariables(env: Environment): {
  readonly set: readonly SetByVariable[]
  readonly faults: readonly ConfigFault[]
} {
  const fields = new Map(configFields().map((field) => [variableOf(field), field]))
  const set: SetByVariable[] = []
  const faults: ConfigFault[] = []
  for (const [name, text] of Object.entries(env)) {
    if (!name.startsWith(PREFIX) || OTHER_VARIABLES.includes(name) || text === undefined) continue
    const field = fields.get(name)
    if (field?.kind === 'scalar') set.push({ variable: name, path: field.path, value: readText(text, field) })
    else faults.push({ field: '', place: { kind: 'variable', name }, message: whyNot(name, field) })
  }
  set.sort((a, b) => a.path.length - b.path.length)
  for (const { variable, path } of set) {
    const outer = set.find((other) => other.path.length < path.length && other.path.every((key, n) => key === path[n]))
    if (outer === undefined) continue
    const message = `expected not to be set beside ${outer.variable}, which sets all of ${outer.path.join('.')}`
    faults.push({ field: path.join('.'), place: { kind: 'variable', name: variable }, message })
  }
  return { set, faults }
}

/** A number or a truth where the field takes one, else the text: the schema says what is wrong with it. */
function readText(text: string, { schema }: ConfigField): unknown {
  const types = branchesOf(schema).map(({ type }) => type)
  const isNumber = types.includes('number') || types.includes('integer')
  if (isNumber && /^-?\d+(?:\.\d+)?$/.test(text)) return Number(text)
  if (types.includes('boolean') && (text === 'true' || text === 'false')) return text === 'true'
  return text
}

function whyNot(name: string, field: ConfigField | undefined): string {
  if (field?.kind === 'list') return `${field.name} is a list, which only the file can say`
  if (field?.kind === 'section') {
    const [first] = configFields().filter(({ kind, path }) => kind === 'scalar' && path[0] === field.path[0])
    return `${field.name} has fields, each with a variable of its own${first ? `, such as ${variableOf(first)}` : ''}`
  }
  const scalars = configFields().filter(({ kind }) => kind === 'scalar')
  const known = [...scalars.map(variableOf), ...OTHER_VARIABLES]
  const meant = nearest(
    name.slice(PREFIX.length),
    known.map((each) => each.slice(PREFIX.length)),
  )
  const hint = meant
    ? `did you mean ${PREFIX}${meant}?`
    : 'a field such as health.check_interval is CBTOR_HEALTH_CHECK_INTERVAL'
  return `not a variable that is read; ${hint}`
}

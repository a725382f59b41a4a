/** The fields of the configuration, as its schema has them. */
import { configJsonSchema, type FieldSchema } from './json-schema.ts'

/** A field that can be written, or a section of fields. */
export interface ConfigField {
  /** `health.check_interval`. */
  readonly name: string
  readonly path: readonly string[]
  readonly schema: FieldSchema
  /** A section has fields; a list takes several values; a scalar takes one, and may be set by a variable. */
  readonly kind: 'section' | 'list' | 'scalar'
}

let known: readonly ConfigField[] | undefined

/** All of them, in the order of the schema, but for what is inside of lists. `politeness` is a scalar (`off`) with fields. */
export function configFields(): readonly ConfigField[] {
  known ??= [...fieldsOf(configJsonSchema(), [])]
  return known
}

function* fieldsOf(section: FieldSchema, above: readonly string[]): Generator<ConfigField, void> {
  for (const [key, schema] of Object.entries(propertiesOf(section))) {
    const path = [...above, key]
    yield { name: path.join('.'), path, schema, kind: kindOf(schema) }
    if (kindOf(schema) !== 'list') yield* fieldsOf(schema, path)
  }
}

function kindOf(schema: FieldSchema): ConfigField['kind'] {
  const each = branchesOf(schema)
  if (each.some(({ type }) => type === 'array')) return 'list'
  return each.some(({ type }) => type !== 'object') ? 'scalar' : 'section'
}

/** What may be written there, each alternative by itself. */
export function branchesOf(schema: FieldSchema): readonly FieldSchema[] {
  const alternatives = schema.anyOf ?? schema.oneOf
  return alternatives === undefined ? [schema] : alternatives.flatMap(branchesOf)
}

/** Of all alternatives; what several of them have may be any of theirs. */
function propertiesOf(schema: FieldSchema): Readonly<Record<string, FieldSchema>> {
  const all: Record<string, FieldSchema> = {}
  for (const { properties = {} } of branchesOf(schema)) {
    for (const [key, own] of Object.entries(properties)) {
      const known = all[key]
      all[key] = known === undefined ? own : { ...own, anyOf: [...branchesOf(known), ...branchesOf(own)] }
    }
  }
  return all
}

/** What may be written at a place of a document, such as `['workers', 0, 'kind']`; undefined where nothing may. */
export function schemaAt(path: readonly PropertyKey[]): FieldSchema | undefined {
  let at: FieldSchema | undefined = configJsonSchema()
  for (const key of path) {
    const schema: FieldSchema | undefined = at
    if (schema === undefined) return undefined
    at =
      typeof key === 'number' ? branchesOf(schema).find(({ items }) => items)?.items : propertiesOf(schema)[String(key)]
  }
  return at
}

/** The names that may stand at a place of a document. */
export function namesAt(path: readonly PropertyKey[]): readonly string[] {
  const schema = schemaAt(path)
  return schema === undefined ? [] : Object.keys(propertiesOf(schema))
}

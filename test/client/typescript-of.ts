/**
 * Writes the OpenAPI document as TypeScript: a type for each schema, and a table of the operations. It knows what our document
 * has, and throws for anything else, lest a type say less or more than the service does.
 */

export interface Schema {
  readonly $ref?: string
  readonly type?: string | readonly string[]
  readonly enum?: readonly unknown[]
  readonly const?: unknown
  readonly anyOf?: readonly Schema[]
  readonly items?: Schema
  readonly properties?: Readonly<Record<string, Schema>>
  readonly required?: readonly string[]
  readonly additionalProperties?: boolean | Schema
  readonly description?: string
}

interface Described {
  readonly operationId: string
  readonly requestBody?: { readonly content: Readonly<Record<string, { readonly schema: Schema }>> }
  readonly responses: Readonly<
    Record<string, { readonly content?: Readonly<Record<string, { readonly schema: Schema }>> }>
  >
}

export interface Document {
  readonly paths: Readonly<Record<string, Readonly<Record<string, Described>>>>
  readonly components: { readonly schemas: Readonly<Record<string, Schema>> }
}

/** What bounds values and what explains them: neither is a type. */
const NO_TYPE = new Set(
  'description default examples format pattern propertyNames minLength maxLength minimum maximum exclusiveMinimum exclusiveMaximum multipleOf minItems maxItems'.split(
    ' ',
  ),
)
const TYPES = new Set('$ref type enum const anyOf items properties required additionalProperties'.split(' '))

const HEAD = `// Made from the service's own /openapi.json by test/client/write-types.ts: change the schemas of the API instead.
`

/** What a caller sends has fields that may be undefined and lists that may be readonly; what it gets has neither. */
type Direction = 'sent' | 'got'

export function typescriptOf({ paths, components }: Document): string {
  const operations = Object.entries(paths).flatMap(([path, methods]) =>
    Object.entries(methods).map(([method, operation]) => ({ path, method: method.toUpperCase(), operation })),
  )
  // Sorted: the document has them as modules happen to be loaded.
  const sorted = Object.entries(components.schemas).sort(([a], [b]) => (a < b ? -1 : 1))
  const types = sorted.map(([name, schema]) => {
    const description = [schema.description, useOf(name, operations, components.schemas)].filter(Boolean).join(' ')
    return `${comment({ description }, '')}export type ${name} = ${typeOf(schema, directionOf(name), '')}\n`
  })
  const table = operations.map(({ path, method, operation }) => `  ${operation.operationId}: '${method} ${path}',\n`)
  const described = operations.map(({ operation }) => {
    const { operationId, requestBody, responses } = operation
    const body = requestBody ? `body: ${bodyOf(operationId, requestBody)}; ` : ''
    return `  ${operationId}: { ${body}answer: ${answerOf(responses)} }\n`
  })
  return [
    HEAD,
    ...types,
    `/** Every operation of the API, by its \`operationId\`. */\nexport const OPERATIONS = {\n${table.join('')}} as const\n`,
    `/** What operations are sent and answer with; \`unknown\` where that is no JSON. */\nexport interface Operations {\n${described.join('')}}\n`,
  ].join('\n')
}

interface Operation {
  readonly path: string
  readonly method: string
  readonly operation: Described
}

/** Where a schema is met: a sentence. */
function useOf(name: string, operations: readonly Operation[], schemas: Document['components']['schemas']): string {
  const refersTo = (part: unknown) => JSON.stringify(part ?? null).includes(`"#/components/schemas/${name}"`)
  const of = (part: (operation: Described) => unknown) =>
    operations.filter(({ operation }) => refersTo(part(operation))).map(({ method, path }) => `\`${method} ${path}\``)
  const sentTo = of(({ requestBody }) => requestBody)
  if (sentTo.length > 0) return `What ${listed(sentTo)} takes.`
  const gotFrom = of(({ responses }) => Object.entries(responses).filter(([status]) => status.startsWith('2')))
  if (gotFrom.length > 0) return `What ${listed(gotFrom)} answers with.`
  const whole = Object.entries(schemas).flatMap(([other, schema]) => (refersTo(schema) ? `\`${other}\`` : []))
  if (whole.length > 0) return `A part of ${listed(whole)}.`
  return 'What an operation answers with that fails.'
}

function listed([first = '', ...others]: readonly string[]): string {
  return others.length === 0 ? first : `${first} or the like`
}

function bodyOf(operationId: string, { content }: NonNullable<Described['requestBody']>): string {
  const { schema } = content['application/json'] ?? {}
  if (schema === undefined) throw new Error(`Cannot write the type of ${operationId}: its body is no JSON`)
  const named = schema.anyOf?.filter(({ type }) => type !== 'null') ?? [schema]
  if (named.length !== 1 || named[0]?.$ref === undefined) {
    throw new Error(`Cannot write the type of ${operationId}: its body must be a schema with an id`)
  }
  return typeOf(schema, 'sent', '  ').replace('null', 'undefined')
}

function answerOf(responses: Described['responses']): string {
  const types = Object.entries(responses).flatMap(([status, { content = {} }]) => {
    if (!status.startsWith('2')) return []
    const [[type, media] = []] = Object.entries(content)
    return type === 'application/json' && media ? typeOf(media.schema, 'got', '  ') : 'unknown'
  })
  return [...new Set(types)].join(' | ')
}

function directionOf(name: string): Direction {
  return name.endsWith('Input') ? 'sent' : 'got'
}

function typeOf(schema: Schema, direction: Direction, indent: string): string {
  const unknown = Object.keys(schema).filter((key) => !NO_TYPE.has(key) && !TYPES.has(key))
  if (unknown.length > 0) throw new Error(`Cannot write the type of a schema with ${unknown.join(', ')}`)

  if (schema.$ref !== undefined) return schema.$ref.replace('#/components/schemas/', '')
  if (schema.anyOf) return [...new Set(schema.anyOf.map((each) => typeOf(each, direction, indent)))].join(' | ')
  if (schema.enum) return schema.enum.map(literalOf).join(' | ')
  if ('const' in schema) return literalOf(schema.const)
  if (typeof schema.type === 'object') {
    return schema.type.map((type) => typeOf({ ...schema, type }, direction, indent)).join(' | ')
  }
  switch (schema.type) {
    case 'string':
    case 'boolean':
    case 'null':
    case 'number':
      return schema.type
    case 'integer':
      return 'number'
    case 'array':
      return listOf(typeOf(schema.items ?? {}, direction, indent), direction)
    case 'object':
      return objectOf(schema, direction, indent)
    case undefined:
      return 'unknown'
    default:
      throw new Error(`Cannot write the type of a schema of the type ${schema.type}`)
  }
}

function listOf(item: string, direction: Direction): string {
  const grouped = item.includes('|') && !item.startsWith('{') ? `(${item})` : item
  return direction === 'sent' ? `readonly ${grouped}[]` : `${grouped}[]`
}

function objectOf(schema: Schema, direction: Direction, indent: string): string {
  const { properties = {}, required = [], additionalProperties } = schema
  const inner = `${indent}  `
  const fields = Object.entries(properties).map(([name, field]) => {
    const isOptional = !required.includes(name)
    const type = typeOf(field, direction, inner)
    const undefinedToo = isOptional && direction === 'sent' ? ' | undefined' : ''
    const key = /^\w+$/.test(name) ? name : literalOf(name)
    return `${comment(field, inner)}${inner}${key}${isOptional ? '?' : ''}: ${type}${undefinedToo}\n`
  })
  if (typeof additionalProperties === 'object') {
    if (fields.length > 0) throw new Error('Cannot write the type of an object with both known and other fields')
    return `Record<string, ${typeOf(additionalProperties, direction, indent)}>`
  }
  return fields.length === 0 ? 'Record<string, never>' : `{\n${fields.join('')}${indent}}`
}

function comment({ description }: Schema, indent: string): string {
  return description === undefined ? '' : `${indent}/** ${description.replaceAll('*/', '*\\/')} */\n`
}

function literalOf(value: unknown): string {
  return typeof value === 'string' ? `'${value.replaceAll(/['\\]/g, '\\$&')}'` : JSON.stringify(value)
}

import { z } from 'zod'
import { configSchema } from './schema.ts'

/** As much of JSON Schema as the configuration is made of. */
export interface FieldSchema {
  readonly type?: 'object' | 'array' | 'string' | 'number' | 'integer' | 'boolean'
  readonly description?: string
  readonly default?: unknown
  readonly examples?: readonly unknown[]
  readonly const?: unknown
  readonly enum?: readonly unknown[]
  readonly properties?: Readonly<Record<string, FieldSchema>>
  readonly items?: FieldSchema
  readonly anyOf?: readonly FieldSchema[]
  readonly oneOf?: readonly FieldSchema[]
  readonly pattern?: string
  readonly minimum?: number
  readonly exclusiveMinimum?: number
  readonly maximum?: number
}

/** Where it is published; the files of `docs/examples` name it. */
const ID = 'cbtor.schema.json'

let made: FieldSchema | undefined

/** The configuration file as editors understand it: what may be written, before defaults and units are settled. */
export function configJsonSchema(): FieldSchema {
  made ??= {
    $id: ID,
    title: 'CBTOR',
    ...z.toJSONSchema(configSchema, {
      io: 'input',
      target: 'draft-7',
      override({ zodSchema, jsonSchema }) {
        const { examples } = z.globalRegistry.get(zodSchema) ?? {}
        if (Array.isArray(examples)) jsonSchema.examples = examples
        // Formats of ours, which no validator knows; the pattern says the same.
        delete jsonSchema.format
      },
    }),
  } as FieldSchema
  return made
}

/** The text of `docs/cbtor.schema.json`. */
export function configJsonSchemaText(): string {
  return `${JSON.stringify(configJsonSchema(), null, 2)}\n`
}

import assert from 'node:assert/strict'
import { readFileSync } from 'node:fs'
import { it } from 'node:test'
import { createTestApp } from '../src/api/test-app.ts'
import { type Schema, typescriptOf } from './client/typescript-of.ts'

it('the types of the client are those of the OpenAPI document', async () => {
  await using test = await createTestApp()
  const { body } = await test.app.inject({ url: '/openapi.json' })
  const written = readFileSync('src/client/openapi.ts', 'utf8')
  assert.ok(written === typescriptOf(JSON.parse(body)), 'they are of yesterday: node test/client/write-types.ts')
})

it('every name that the client exports is explained', () => {
  const silent = ['api-client', 'api-problem', 'client', 'fetch-transport', 'openapi', 'portable', 'transport'].flatMap(
    (file) => {
      const lines = readFileSync(`src/client/${file}.ts`, 'utf8').split('\n')
      const isName = (line: string) => /^export (?:type|interface|class|function|const) \w/.test(line)
      const isMethod = (line: string) => file === 'api-client' && /^ {2}\w+\(/.test(line)
      return lines.flatMap((line, n) =>
        (isName(line) || isMethod(line)) && !/\*\/$/.test(lines[n - 1] ?? '')
          ? `${file}.ts:${n + 1}: ${line.trim()}`
          : [],
      )
    },
  )
  assert.deepEqual(silent, [])
})

it('writes nullable fields, lists of alternatives and records as they are, and what is sent less strictly', () => {
  const fields: Schema = {
    type: 'object',
    required: ['kind', 'note'],
    properties: {
      kind: { enum: ['a', 'b'], description: 'Which.' },
      note: { type: ['string', 'null'] },
      list: { type: 'array', items: { anyOf: [{ type: 'integer' }, { $ref: '#/components/schemas/Other' }] } },
      more: { type: 'object', additionalProperties: {} },
    },
  }
  const written = typescriptOf({ paths: {}, components: { schemas: { Got: fields, SentInput: fields } } })
  const lines = (list: string, end: string) =>
    `{\n  /** Which. */\n  kind: 'a' | 'b'\n  note: string | null\n  list?: ${list}${end}\n  more?: Record<string, unknown>${end}\n}\n`
  assert.ok(written.includes('/** What an operation answers with that fails. */\nexport type Got ='))
  assert.ok(written.includes(`export type Got = ${lines('(number | Other)[]', '')}`))
  assert.ok(written.includes(`export type SentInput = ${lines('readonly (number | Other)[]', ' | undefined')}`))
})

it('writes nothing that says less than the document', () => {
  const of = (schema: Schema & { readonly oneOf?: unknown }) => () =>
    typescriptOf({ paths: {}, components: { schemas: { A: schema } } })
  assert.throws(of({ oneOf: [] }), /Cannot write the type of a schema with oneOf/)
  assert.throws(of({ type: 'file' }), /of the type file/)
  assert.throws(
    of({ type: 'object', properties: { a: { type: 'null' } }, additionalProperties: {} }),
    /both known and other fields/,
  )
  const body = { content: { 'application/json': { schema: { type: 'object' } } } }
  const paths = { '/a': { post: { operationId: 'a', requestBody: body, responses: {} } } }
  assert.throws(() => typescriptOf({ paths, components: { schemas: {} } }), /must be a schema with an id/)
})

import { CbtorError } from '../../domain/errors.ts'
import { PROBLEMS, type ProblemCode } from '../../domain/problems.ts'
import { type Access, accessOf } from '../access.ts'
import { problemBody } from '../problems.ts'
import { NOTES, type RouteNotes } from './documented.ts'

/** As much of an OpenAPI 3.1 document as is touched here. */
export interface OpenApiDocument {
  paths: Record<string, Record<string, Operation>>
  components: { schemas: Record<string, unknown>; securitySchemes?: Record<string, unknown> }
}

interface Operation {
  [NOTES]?: RouteNotes
  requestBody?: { required?: boolean; content: Record<string, MediaType> }
  responses: Record<string, Response>
  description?: string
  security?: Record<string, string[]>[]
}

interface Response {
  description: string
  content?: Record<string, MediaType>
  headers?: Record<string, unknown>
}

interface MediaType {
  schema?: unknown
  example?: unknown
  examples?: Record<string, { summary?: string; value: unknown }>
}

const OF_EVERY_ROUTE = [
  'http_invalid',
  'duplicate_header',
  'host_not_allowed',
  'origin_not_allowed',
  'shutting_down',
  'internal',
] as const
const OF_ROUTES_WITH_KEY = ['auth_required', 'auth_invalid', 'auth_in_query_refused', 'scope_missing'] as const
const OF_ROUTES_WITH_BODY = [
  'invalid_json',
  'invalid_input',
  'unknown_field',
  'request_timeout',
  'payload_too_large',
  'unsupported_media_type',
] as const

/** Turns each route's notes into examples and error answers, and drops the components that nothing refers to. */
export function finishDocument(document: OpenApiDocument): OpenApiDocument {
  for (const [path, operations] of Object.entries(document.paths)) {
    for (const [method, operation] of Object.entries(operations)) {
      const notes = operation[NOTES]
      const access = accessOf(method.toUpperCase(), path.replaceAll(/\{(\w+)\}/g, ':$1'))
      describeAccess(operation, access)
      if (notes !== undefined) describeOperation(operation, notes, access)
      delete operation[NOTES]
    }
  }
  dropUnusedSchemas(document)
  return document
}

/** The name of the security scheme in the document. */
export const KEY_SCHEME = 'key'

function describeAccess(operation: Operation, access: Access | undefined): void {
  const needsKey = access !== undefined && access !== 'public'
  operation.security = needsKey ? [{ [KEY_SCHEME]: access === 'any' ? [] : [access] }] : []
  const takes = access === 'any' ? 'Takes any key.' : `Takes a key with the scope \`${access}\`.`
  if (needsKey) operation.description = `${operation.description ?? ''}\n\n${takes}`
}

function describeOperation(operation: Operation, notes: RouteNotes, access: Access | undefined): void {
  const request = operation.requestBody?.content['application/json']
  if (operation.requestBody && isNullable(request?.schema)) operation.requestBody.required = false
  if (request) {
    request.examples = Object.fromEntries(
      Object.entries(notes.requests ?? {}).map(([summary, value], index) => [
        `request${index + 1}`,
        { summary, value },
      ]),
    )
  }
  describeAnswer(operation.responses['200'], notes)
  describeAnswer(operation.responses['202'], notes.accepted)
  const ofKeys =
    access === 'public' ? [] : OF_ROUTES_WITH_KEY.filter((code) => access !== 'any' || code !== 'scope_missing')
  const codes = [...OF_EVERY_ROUTE, ...ofKeys, ...(request ? OF_ROUTES_WITH_BODY : []), ...notes.problems]
  Object.assign(operation.responses, problemResponses(codes))
}

function describeAnswer(
  response: Response | undefined,
  notes: Pick<RouteNotes, 'answered' | 'answer'> | undefined,
): void {
  if (response === undefined || notes === undefined) return
  response.description = notes.answered
  for (const media of Object.values(response.content ?? {})) media.example = notes.answer
}

/** One response per status, with an example for each code that has it. */
function problemResponses(codes: readonly ProblemCode[]): Record<string, Response> {
  const byStatus = Map.groupBy(codes, (code) => PROBLEMS[code].status)
  const responses = [...byStatus].map(([status, sameStatus]) => {
    const examples = sameStatus.map((code) => [code, { summary: PROBLEMS[code].title, value: exampleOf(code) }])
    const response: Response = {
      description: sameStatus.map((code) => `\`${code}\`: ${PROBLEMS[code].title}.`).join(' '),
      content: {
        'application/problem+json': {
          schema: { $ref: '#/components/schemas/Problem' },
          examples: Object.fromEntries(examples),
        },
      },
    }
    if (status === 503) {
      response.headers = { 'Retry-After': { description: 'Seconds, when known.', schema: { type: 'integer' } } }
    }
    return [String(status), response] as const
  })
  return Object.fromEntries(responses)
}

function exampleOf(code: ProblemCode) {
  return problemBody(new CbtorError(code, `${PROBLEMS[code].title}.`), 'b0cFqPzq8hYk3n2v')
}

/** To the validator, no body at all is null. */
function isNullable(schema: unknown): boolean {
  const { anyOf = [] } = (schema ?? {}) as { readonly anyOf?: readonly { readonly type?: string }[] }
  return anyOf.some(({ type }) => type === 'null')
}

/** The type provider emits each schema as it is sent and as it is received; most are one of the two. */
function dropUnusedSchemas(document: OpenApiDocument): void {
  const { schemas } = document.components
  for (;;) {
    const text = JSON.stringify(document)
    const unused = Object.keys(schemas).filter((name) => !text.includes(`"#/components/schemas/${name}"`))
    if (unused.length === 0) return
    for (const name of unused) delete schemas[name]
  }
}

import type { ProblemCode } from '../../domain/problems.ts'

/** What a route adds to its schema for the OpenAPI document, besides what Fastify's schema has room for. */
export interface RouteNotes {
  /** What a 200 means. */
  readonly answered: string
  /** Example bodies, by what they show. */
  readonly requests?: Readonly<Record<string, unknown>>
  /** An example of the answer. */
  readonly answer: unknown
  /** What a 202 means, with an example, where there is one. */
  readonly accepted?: { readonly answered: string; readonly answer: unknown }
  /** Codes of this route besides those that every route has. */
  readonly problems: readonly ProblemCode[]
}

/** Travels through @fastify/swagger as an extension; `openapi.ts` replaces it. */
export const NOTES = 'x-cbtor-notes'

export function documented(notes: RouteNotes) {
  return { [NOTES]: notes }
}

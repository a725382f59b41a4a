import type { ContentBlock, ToolAnnotations } from '@modelcontextprotocol/server'
import type { z } from 'zod'
import { printable } from '../lib/printable.ts'
import type { Random } from '../lib/random.ts'
import type { Gateway } from './gateway.ts'

export interface ToolContext {
  readonly gateway: Gateway
  readonly random: Random
  /** Aborts when nobody waits for the answer any more. */
  readonly signal: AbortSignal
}

export interface ToolAnswer<Output> {
  /** For the model and for people, all that matters. */
  readonly text: string
  /** What comes behind it. */
  readonly more?: readonly ContentBlock[]
  /** For programs. */
  readonly structured: Output
}

/** A tool of the MCP server. What it throws is told to the model as far as it is a problem of ours. */
export interface Tool<Input extends z.ZodType, Output extends z.ZodType> {
  readonly name: string
  readonly title: string
  readonly description: string
  readonly annotations: Required<
    Pick<ToolAnnotations, 'readOnlyHint' | 'destructiveHint' | 'idempotentHint' | 'openWorldHint'>
  >
  readonly input: Input
  readonly output: Output
  call(input: z.output<Input>, context: ToolContext): Promise<ToolAnswer<z.output<Output>>>
}

/** Checks that a tool is one, and keeps its types. */
export function tool<Input extends z.ZodType, Output extends z.ZodType>(
  definition: Tool<Input, Output>,
): Tool<Input, Output> {
  return definition
}

/** For the arguments of a tool: unknown ones are faults, never ignored. */
export function unknownArgument(shape: object) {
  const known = Object.keys(shape).join(', ')
  return {
    error: ({ code, keys = [] }: { readonly code?: string; readonly keys?: readonly string[] }) =>
      code === 'unrecognized_keys'
        ? `${printable(keys.join(', '), 100)}: no argument of this tool, which has ${known || 'none'}`
        : 'must be an object',
  }
}

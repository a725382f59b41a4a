import { z } from 'zod'
import type { Health } from '../../client/openapi.ts'
import { tool, unknownArgument } from '../tool.ts'

/** Of workers that are not well, and of problems: the pool may have 1,000 of either. */
const MAX_LISTED = 20

const workerOutput = z.object({
  id: z.string(),
  state: z.string(),
  desired: z.string(),
  since: z.string(),
  next_action: z.string().nullable().describe('What will be done about it by itself.'),
})
const problemOutput = z.object({
  code: z.string(),
  severity: z.string(),
  text: z.string(),
  since: z.string(),
  worker: z.string().nullable(),
})

export const poolStatusTool = tool({
  name: 'pool_status',
  title: 'How the pool of Tor workers is',
  description: `Tells whether the pool of Tor workers can take requests, which workers are not well and what will be done about them, and the open problems. Changes nothing and reaches no target. Look here when "fetch" fails by the doing of a worker. Takes a key with the scope workers:read.`,
  annotations: { readOnlyHint: true, destructiveHint: false, idempotentHint: true, openWorldHint: false },
  input: z.strictObject({}, unknownArgument({})),
  output: z.object({
    status: z.enum(['healthy', 'degraded', 'down']),
    mode: z.string().describe('How the pool chooses a worker.'),
    total: z.int().describe('Workers.'),
    receiving_traffic: z.int().describe('Workers that take requests.'),
    unwell: z.array(workerOutput).describe(`Workers that take none: at most ${MAX_LISTED}.`),
    problems: z.array(problemOutput).describe(`The oldest first: at most ${MAX_LISTED}.`),
    left_out: z.int().describe('How many workers and problems are not listed for want of room.'),
  }),

  async call(_input, { gateway, signal }) {
    const health = await gateway.health(signal)
    const { status, mode, total, receiving_traffic } = health
    const ill = health.workers.filter((worker) => !worker.receives_traffic)
    const unwell = ill.slice(0, MAX_LISTED).map(({ id, state, desired, since, next_action }) => ({
      id,
      state,
      desired,
      since,
      next_action: next_action && `${next_action.type} at ${next_action.at}`,
    }))
    const problems = health.problems.slice(0, MAX_LISTED)
    const left_out = ill.length - unwell.length + (health.problems.length - problems.length)
    return {
      text: textOf(health, unwell, left_out),
      structured: { status, mode, total, receiving_traffic, unwell, problems, left_out },
    }
  },
})

function textOf(health: Health, unwell: readonly z.output<typeof workerOutput>[], leftOut: number): string {
  const { status, receiving_traffic, total, mode, problems } = health
  const lines = [`The pool is ${status}: ${receiving_traffic} of ${total} workers take requests, by ${mode}.`]
  for (const { id, desired, state, since, next_action: next } of unwell) {
    const why = desired === 'enabled' ? state : desired
    lines.push(`${id} is ${why} since ${since}${next === null ? '' : `; next: ${next}`}.`)
  }
  for (const { text, since } of problems.slice(0, MAX_LISTED)) lines.push(`Problem since ${since}: ${text}.`)
  if (leftOut > 0) lines.push(`${leftOut} more are not listed.`)
  return lines.join('\n')
}

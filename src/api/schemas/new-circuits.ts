import { z } from 'zod'
import type { CircuitsRenewed } from '../../domain/events.ts'
import {
  exitBody,
  instant,
  milliseconds,
  requestObject,
  roundMs,
  toExitBody,
  wholeNumber,
  wholeNumberText,
} from './common.ts'

const MAX_WAIT_MS = 60_000
const WAIT =
  'How long to wait for Tor to act; 0 for an answer at once. In the query or in the body, not in both. Default: 12000.'

export const newCircuitsQuery = requestObject({
  wait_ms: wholeNumberText(0, MAX_WAIT_MS, '0').optional().describe(WAIT),
})

/** Null is no body at all. */
export const newCircuitsOrderBody = requestObject({
  wait_ms: wholeNumber(0, MAX_WAIT_MS).optional().describe(WAIT).meta({ default: 12_000 }),
})
  .meta({ id: 'NewCircuitsOrder' })
  .nullable()

export const newCircuitsBody = z
  .object({
    worker: z.string(),
    exits_before: z.array(exitBody).describe('The exits of the circuits that were in use.'),
    exits_after: z
      .array(exitBody)
      .describe('The exits of the circuits that are ready for use; more may be on their way.'),
    exit_changed: z
      .boolean()
      .nullable()
      .describe('Whether none of the exits is one from before. Null when it is not known which they are.'),
    took_ms: milliseconds.describe('From the order until Tor had acted.'),
  })
  .meta({ id: 'NewCircuits' })

export type NewCircuitsBody = z.output<typeof newCircuitsBody>

export const newCircuitsPendingBody = z
  .object({ worker: z.string(), acts_at: instant.describe('When Tor will act.') })
  .meta({ id: 'NewCircuitsPending' })

export type NewCircuitsPendingBody = z.output<typeof newCircuitsPendingBody>

export function toNewCircuitsBody(worker: string, renewed: CircuitsRenewed): NewCircuitsBody {
  return {
    worker,
    exits_before: renewed.exitsBefore.map(toExitBody),
    exits_after: renewed.exitsAfter.map(toExitBody),
    exit_changed: renewed.exitChanged ?? null,
    took_ms: roundMs(renewed.ms),
  }
}

import { z } from 'zod'
import { FAULTS } from '../../domain/problems.ts'
import { count, oneOf } from './common.ts'
import { attemptBody, failureReceiptBody, redirectBody } from './receipt.ts'

const fault = oneOf(FAULTS).describe('Whose doing it is.')

/** RFC 9457, with members of ours. */
export const problemBody = z
  .object({
    type: z.string().describe('Describes this type of problem: `GET` it from this service.'),
    title: z.string(),
    status: z.int(),
    code: z.string().describe('Stable: match on it.'),
    detail: z.string().describe('What was attempted, then why not.'),
    fault,
    retryable: z.boolean().describe('Whether the same request may succeed later.'),
    request_id: z.string().describe('The `X-Request-Id` of the answer; the log has it too.'),
    attempts: z.array(attemptBody).optional().describe('Each try on a worker, in order.'),
    redirects: z.array(redirectBody).optional().describe('Each redirect that was followed, in order.'),
    receipt: failureReceiptBody.optional().describe('How far the request came, once it had a worker.'),
    errors: z
      .array(z.object({ path: z.string(), message: z.string(), code: z.string() }))
      .optional()
      .describe(
        'All faults of the request at once, each with the field, what would be right, and a code. `code` above is theirs if they have it in common, else `invalid_input`.',
      ),
  })
  .meta({ id: 'Problem' })

export type ProblemBody = z.output<typeof problemBody>

export const problemTypeBody = z
  .object({ code: z.string(), title: z.string(), status: count, fault, retryable: z.boolean() })
  .meta({ id: 'ProblemType' })

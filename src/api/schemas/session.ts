import { z } from 'zod'
import { isoTime } from '../../lib/iso-time.ts'
import type { SessionView } from '../views.ts'
import { count, exitBody, instant, requestObject, toExitBody } from './common.ts'

export const sessionBody = z
  .object({
    key: z.string().describe('The `sticky_key`.'),
    owner: z.string().describe("The id of the caller's key."),
    worker: z.string().nullable().describe('Null until one is chosen.'),
    exit: exitBody.nullable().describe('The exit of its latest request. Null when it is not known.'),
    created_at: instant,
    last_used_at: instant,
    requests: count,
    expires_at: instant.describe('When it ends if nobody uses it until then.'),
    moved: count.describe('How often it came to another worker or exit, unasked.'),
  })
  .meta({ id: 'Session' })

export type SessionBody = z.output<typeof sessionBody>

export const sessionsBody = z.object({ sessions: z.array(sessionBody) }).meta({ id: 'Sessions' })

export type SessionsBody = z.output<typeof sessionsBody>

export const sessionParams = z.object({
  key: z
    .string()
    .describe('The `sticky_key` of the session.')
    .meta({ examples: ['my-session-123'] }),
})

export const sessionQuery = requestObject({
  owner: z
    .string()
    .optional()
    .describe("Whose session, by the id of the caller's key; another's than one's own takes the scope `admin`.")
    .meta({ examples: ['7Kq2'] }),
})

export function toSessionBody(session: SessionView): SessionBody {
  const { key, owner, worker, exit, requests, moved } = session
  return {
    ...{ key, owner },
    worker: worker ?? null,
    exit: exit ? toExitBody(exit) : null,
    created_at: isoTime(session.createdAt),
    last_used_at: isoTime(session.lastUsedAt),
    requests,
    expires_at: isoTime(session.expiresAt),
    moved,
  }
}

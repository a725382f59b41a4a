import { z } from 'zod'
import { SCOPES } from '../../domain/caller.ts'
import type { Key, KeyOrder } from '../../domain/key.ts'
import { isoTime, parseInstant } from '../../lib/iso-time.ts'
import { MAX_TARGET_RULES, targetRuleFault } from '../../lib/target-rules.ts'
import { count, instant, oneOf, requestObject, wholeNumber } from './common.ts'

const NAME = 'must be 1 to 64 characters that can be shown'
const SCOPE_LIST = `must be a list of one or more of ${SCOPES.join(', ')}, each of them once`
const INSTANT = 'must be an instant in UTC, such as 2026-12-31T00:00:00Z'
const RATE = 'must be a number from 0.001 to 1000000'
const RULES = `must be a list of at most ${MAX_TARGET_RULES} networks, hosts or ports`

const scope = oneOf(SCOPES)

const rules = z
  .array(
    z.string({ error: RULES }).superRefine((text, context) => {
      const fault = targetRuleFault(text)
      if (fault !== undefined) context.addIssue({ code: 'custom', message: fault })
    }),
    { error: RULES },
  )
  .max(MAX_TARGET_RULES, { error: RULES })

const limits = requestObject({
  rate: z
    .number({ error: RATE })
    .min(0.001, { error: RATE })
    .max(1_000_000, { error: RATE })
    .optional()
    .describe('Requests per second in the long run.'),
  burst: wholeNumber(1, 1_000_000).optional().describe('Requests at once.'),
  concurrent: wholeNumber(1, 100_000).optional().describe('Requests and opening tunnels at the same time.'),
  bytes_per_day: wholeNumber(1, Number.MAX_SAFE_INTEGER)
    .optional()
    .describe('Bytes to and from targets, from one midnight UTC to the next.'),
}).describe('What the key may use at most; what is left out is as configured for all keys.')

const targets = requestObject({
  allow: rules.optional().describe('Nothing but these may be reached with the key.'),
  deny: rules.optional().describe('These may not be reached with the key, whatever allows them.'),
}).describe(
  'Which targets the key may reach, among those that the service lets through: networks (`203.0.113.0/24`), hosts with all names below them (`example.com`), ports (`:443`).',
)

export const newKeyBody = requestObject({
  name: z
    .string({ error: NAME })
    .regex(/^[^\p{C}\p{Z}](?:[^\p{C}\p{Zl}\p{Zp}]{0,62}[^\p{C}\p{Z}])?$/u, { error: NAME })
    .describe('For people: what the key is used for.'),
  scopes: z
    .array(scope, { error: SCOPE_LIST })
    .min(1, { error: SCOPE_LIST })
    .max(SCOPES.length, { error: SCOPE_LIST })
    .refine((list) => new Set(list).size === list.length, { error: SCOPE_LIST })
    .describe('What it may be used for. `admin` may everything, making keys included.'),
  expires_at: z.iso
    .datetime({ error: INSTANT })
    .optional()
    .describe('From then on it is as if it were revoked. Never when left out.'),
  limits: limits.optional(),
  targets: targets.optional(),
}).meta({ id: 'NewKey' })

export type NewKeyBody = z.output<typeof newKeyBody>

export const keyBody = z
  .object({
    id: z.string().describe('The key between its first and second `_`: no secret.'),
    name: z.string(),
    scopes: z.array(scope),
    created_at: instant,
    expires_at: instant.nullable(),
    last_used_at: instant.nullable().describe('The hour in which it was used last.'),
    limits: z.object({
      rate: z.number().nullable(),
      burst: count.nullable(),
      concurrent: count.nullable(),
      bytes_per_day: count.nullable(),
    }),
    targets: z.object({ allow: z.array(z.string()), deny: z.array(z.string()) }),
  })
  .meta({ id: 'Key' })

export type KeyBody = z.output<typeof keyBody>

export const createdKeyBody = keyBody
  .extend({ key: z.string().describe('The key itself. It is told here and never again.') })
  .meta({ id: 'CreatedKey' })

export type CreatedKeyBody = z.output<typeof createdKeyBody>

export const keysBody = z.object({ keys: z.array(keyBody) }).meta({ id: 'Keys' })

export type KeysBody = z.output<typeof keysBody>

export const keyParams = z.object({
  id: z
    .string()
    .describe('The id of a key.')
    .meta({ examples: ['7Kq2mXw0'] }),
})

export function toKeyBody(key: Key): KeyBody {
  const { rate, burst, concurrent, bytesPerDay } = key.limits
  const timeOf = (at: number | undefined) => (at === undefined ? null : isoTime(at))
  return {
    id: key.id,
    name: key.name,
    scopes: [...key.scopes],
    created_at: isoTime(key.createdAt),
    expires_at: timeOf(key.expiresAt),
    last_used_at: timeOf(key.lastUsedAt),
    limits: {
      rate: rate ?? null,
      burst: burst ?? null,
      concurrent: concurrent ?? null,
      bytes_per_day: bytesPerDay ?? null,
    },
    targets: { allow: [...(key.targets.allow ?? [])], deny: [...(key.targets.deny ?? [])] },
  }
}

export function toKeyOrder({ name, scopes, expires_at, limits = {}, targets = {} }: NewKeyBody): KeyOrder {
  const { rate, burst, concurrent, bytes_per_day: bytesPerDay } = limits
  const { allow, deny } = targets
  return {
    ...{ name, scopes },
    ...(expires_at !== undefined && { expiresAt: parseInstant(expires_at) }),
    limits: {
      ...(rate !== undefined && { rate }),
      ...(burst !== undefined && { burst }),
      ...(concurrent !== undefined && { concurrent }),
      ...(bytesPerDay !== undefined && { bytesPerDay }),
    },
    targets: { ...(allow !== undefined && { allow }), ...(deny !== undefined && { deny }) },
  }
}

import { z } from 'zod'
import { isCountryCode } from '../../domain/countries.ts'
import { MODES } from '../../domain/exchange.ts'
import { ISOLATIONS } from '../../domain/identity.ts'
import type { Exit } from '../../domain/worker.ts'

/*
 * Messages of faults complete a sentence that begins with the field's name, and say what would be right:
 * "timeout_ms must be a whole number from 500 to 300000".
 */

/** The body of a request: unknown fields are faults, never ignored. */
export function requestObject<T extends z.ZodRawShape>(shape: T) {
  const fields = Object.keys(shape).join(', ')
  return z.strictObject(shape, {
    error: ({ code }) =>
      code === 'unrecognized_keys'
        ? `is not a field of this request; the fields are ${fields}`
        : 'must be a JSON object, sent as application/json',
  })
}

export function wholeNumber(min: number, max: number) {
  const error = `must be a whole number from ${min} to ${max}`
  return z
    .number({ error })
    .multipleOf(1, { error }) // z.int() would keep the faults of other fields from being told
    .min(min, { error })
    .max(max, { error })
    .meta({ type: 'integer' })
}

/** As `wholeNumber`, from a query or a header, where everything is text. (Examples of what is transformed get lost.) */
export function wholeNumberText(min: number, max: number, example: string) {
  const error = `must be a whole number from ${min} to ${max}`
  return z
    .string({ error })
    .regex(/^\d{1,16}$/, { error })
    .meta({ examples: [example] })
    .transform(Number)
    .refine((value) => value >= min && value <= max, { error })
}

/** Several of `values` with commas between them, from a query. */
export function listOf<const T extends string>(values: readonly T[], example: string) {
  const error = `must be one or more of ${values.join(', ')}, with commas between them`
  return z
    .string({ error })
    .refine((text) => text.split(',').every((each) => values.some((value) => value === each)), { error })
    .meta({ examples: [example] })
    .transform((text) => text.split(',') as T[])
}

export function oneOf<const T extends readonly [string, ...string[]]>(values: T) {
  return z.enum(values, { error: `must be one of ${values.join(', ')}` })
}

export function flag() {
  return z.boolean({ error: 'must be true or false' })
}

export const mode = oneOf(MODES).describe('How the pool chooses a worker.')
export const isolation = oneOf(ISOLATIONS)

const STICKY_KEY = 'must be 1 to 64 printable ASCII characters without blanks, and neither . nor ..'
const WORKER_REF = 'must be the id of a worker, or its number from 1'
export const workerRef = z
  .union(
    [
      z.string({ error: WORKER_REF }).min(1, { error: WORKER_REF }).max(64, { error: WORKER_REF }),
      z.int({ error: WORKER_REF }).min(1, { error: WORKER_REF }).max(9_999, { error: WORKER_REF }),
    ],
    { error: WORKER_REF },
  )
  .describe('A worker: its id (`tor01`) or its number (`1`).')

/** None that a path cannot say: whoever parses a URL takes `.` and `..` for directories. */
export const stickyKey = z.string({ error: STICKY_KEY }).regex(/^(?!\.{1,2}$)[\x21-\x7e]{1,64}$/, { error: STICKY_KEY })

const COUNTRY = 'must be the code of a country (ISO 3166-1): two lower-case letters, such as de'
export const country = z
  .string({ error: COUNTRY })
  .regex(/^[a-z]{2}$/, { error: COUNTRY, abort: true })
  .refine(isCountryCode, { error: COUNTRY })

export const exitBody = z.object({
  nickname: z.string(),
  fingerprint: z.string().describe('40 upper-case hexadecimal digits.'),
  address: z.string().nullable().describe('The address of the relay in the consensus; it may send from another one.'),
  country: z
    .string()
    .nullable()
    .describe(
      "Where that address is, by Tor's own GeoIP database: two lower-case letters. Null when that is not known.",
    ),
})

export function toExitBody({ nickname, fingerprint, address, country }: Exit): z.output<typeof exitBody> {
  return { nickname, fingerprint, address: address ?? null, country: country ?? null }
}

export const instant = z.iso.datetime().describe('UTC, ISO 8601.')
export const count = z.int().min(0)
export const milliseconds = z.number().min(0)

/** To a hundredth of a millisecond: the rest is noise. */
export function roundMs(ms: number): number {
  return Math.round(ms * 100) / 100
}

import { z } from 'zod'
import { duration } from './duration-field.ts'

const UNITS: Readonly<Record<string, number>> = {
  ...{ B: 1, kB: 1e3, MB: 1e6, GB: 1e9, TB: 1e12 },
  ...{ KiB: 2 ** 10, MiB: 2 ** 20, GiB: 2 ** 30, TiB: 2 ** 40 },
}
const NO_SIZE = 'expected a size with its unit, such as 500MB or 20GiB, or off'
export const SIZE_PATTERN = '^(off|\\d+(\\.\\d+)?([kKMGT]i?B|B))$'
const MAX_WAIT_MS = 60_000

/** A size with its unit outside (`20GiB`), bytes inside; Infinity for `off`. */
export const size = z
  .string(NO_SIZE)
  .transform((text, context) => {
    if (text === 'off') return Number.POSITIVE_INFINITY
    const [, amount, unit = ''] = /^(\d+(?:\.\d+)?)([kKMGT]i?B|B)$/.exec(text) ?? []
    const factor = UNITS[unit]
    if (amount !== undefined && factor !== undefined) return Math.round(Number(amount) * factor)
    context.addIssue({ code: 'custom', message: NO_SIZE })
    return z.NEVER
  })
  .meta({ pattern: SIZE_PATTERN })

const NO_NUMBER = 'expected a number above 0, or off'
const MOST = 1_000_000
const rate = z.number(NO_NUMBER).positive(NO_NUMBER).max(MOST, NO_NUMBER)
const count = z.int(NO_NUMBER).min(1, NO_NUMBER).max(MOST, NO_NUMBER)
const off = z.literal('off').transform(() => Number.POSITIVE_INFINITY)
const NO_PLACES = 'expected a whole number from 1 to 100000'
const waiting = z.int(NO_PLACES).min(1, NO_PLACES).max(100_000, NO_PLACES)
const orOff = <T extends z.ZodType>(field: T) => z.union([off, field], NO_NUMBER)

/** How much one key may use that says nothing of it itself, and how long requests wait for their turn. */
export const limitsSchema = z.strictObject({
  rate: orOff(rate).prefault(100).describe('Requests and tunnels per second, in the long run, or off.'),
  burst: orOff(count).optional().describe('As many at once, or off; 5 seconds of them when left out.'),
  concurrent: orOff(count)
    .optional()
    .describe(
      'Requests, and tunnels that are being opened, at a time, or off; half of what the pool takes when left out.',
    ),
  bytes_per_day: size
    .prefault('off')
    .describe('Bytes to and from targets, from one midnight UTC to the next, or off.')
    .meta({ examples: ['20GiB'] }),
  queue: z
    .strictObject({
      wait: duration
        .refine((ms) => ms <= MAX_WAIT_MS, 'expected a duration from 0s to 60s')
        .prefault('5s')
        .describe('How long a request waits at most when all workers or its target have enough to do; 0s: not at all.'),
      per_key: waiting.default(128).describe('How many requests of one key wait at most.'),
      total: waiting.default(1_024).describe('How many requests of all keys wait at most.'),
    })
    .prefault({})
    .describe('Who waits for room, how long, and how many.'),
})

/** How much one target gets from one worker. */
export const politenessSchema = z.union(
  [
    z.literal('off'),
    z.strictObject({
      concurrent: count.default(4).describe('Requests, and tunnels that are being opened, at a time.'),
      rate: rate.default(2).describe('Requests and tunnels per second, in the long run.'),
      burst: count.default(4).describe('As many at once.'),
      honour_retry_after: z
        .boolean()
        .default(true)
        .describe('Whether a key that a target has told when to come back does not ask it before that.'),
    }),
  ],
  'expected off, or concurrent, rate, burst and honour_retry_after',
)

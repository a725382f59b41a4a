import { z } from 'zod'
import { duration } from './duration-field.ts'

const UNITS: Readonly<Record<string, number>> = {
  ...{ B: 1, kB: 1e3, MB: 1e6, GB: 1e9, TB: 1e12 },
  ...{ KiB: 2 ** 10, MiB: 2 ** 20, GiB: 2 ** 30, TiB: 2 ** 40 },
}
const NO_SIZE = 'expected a size with its unit, such as 500MB or 20GiB, or off'
const MAX_WAIT_MS = 60_000

/** A size with its unit outside (`20GiB`), bytes inside; Infinity for `off`. */
export const size = z.string(NO_SIZE).transform((text, context) => {
  if (text === 'off') return Number.POSITIVE_INFINITY
  const [, amount, unit = ''] = /^(\d+(?:\.\d+)?)([kKMGT]i?B|B)$/.exec(text) ?? []
  const factor = UNITS[unit]
  if (amount !== undefined && factor !== undefined) return Math.round(Number(amount) * factor)
  context.addIssue({ code: 'custom', message: NO_SIZE })
  return z.NEVER
})

const NO_NUMBER = 'expected a number above 0, or off'
const MOST = 1_000_000
const rate = z.number(NO_NUMBER).positive(NO_NUMBER).max(MOST, NO_NUMBER)
const count = z.int(NO_NUMBER).min(1, NO_NUMBER).max(MOST, NO_NUMBER)
const off = z.literal('off').transform(() => Number.POSITIVE_INFINITY)
const orOff = <T extends z.ZodType>(field: T) => z.union([off, field], NO_NUMBER)

/** How much one key may use that says nothing of it itself, and how long requests wait for their turn. */
export const limitsSchema = z.strictObject({
  /** Requests and tunnels per second, in the long run, */
  rate: orOff(rate).default(100),
  /** and as many at once; 5 seconds of them when left out. */
  burst: orOff(count).optional(),
  /** Requests, and tunnels that are being opened, at a time; half of what the pool takes when left out. */
  concurrent: orOff(count).optional(),
  /** To and from targets, from one midnight UTC to the next. */
  bytes_per_day: size.prefault('off'),
  queue: z
    .strictObject({
      /** How long a request waits at most when all workers or its target have enough to do; 0s: not at all. */
      wait: duration.refine((ms) => ms <= MAX_WAIT_MS, 'expected a duration from 0s to 60s').prefault('5s'),
      /** How many requests of one key wait at most, */
      per_key: z.int().min(1).max(100_000).default(128),
      /** and of all keys. */
      total: z.int().min(1).max(100_000).default(1_024),
    })
    .prefault({}),
})

/** How much one target gets from one worker. */
export const politenessSchema = z.union(
  [
    z.literal('off'),
    z.strictObject({
      /** Requests, and tunnels that are being opened, at a time. */
      concurrent: count.default(4),
      /** Per second, in the long run, */
      rate: rate.default(2),
      /** and as many at once. */
      burst: count.default(4),
      /** Whether a key that a target has told when to come back does not ask it before that. */
      honour_retry_after: z.boolean().default(true),
    }),
  ],
  'expected off, or concurrent, rate, burst and honour_retry_after',
)

import { z } from 'zod'
import { parseLocalReceiver } from '../jobs/local-receivers.ts'
import { duration } from './duration-field.ts'
import { size } from './limits.ts'

const NO_RECEIVER =
  'expected an address or a network of your own and a port, such as 127.0.0.1:9000, 10.1.0.0/16:9000 or [fd00::/8]:9000'
const receiver = z.string(NO_RECEIVER).transform((text, context) => {
  const parsed = parseLocalReceiver(text)
  if (parsed !== undefined) return parsed
  context.addIssue({ code: 'custom', message: NO_RECEIVER })
  return z.NEVER
})

const MIN_MS = 1_000
const DAY_MS = 24 * 60 * 60 * 1_000
const between = (min: number, max: number, words: string) =>
  duration.refine((ms) => ms >= min && ms <= max, `expected a duration from ${words}`)

const delays = z
  .array(between(MIN_MS, DAY_MS, '1s to 1d'))
  .min(1)
  .max(20)
const retries = z.int().min(0).max(1_000)
const stored = size.refine((bytes) => bytes >= 1_048_576 && Number.isFinite(bytes), 'expected a size from 1MiB on')

/** Fetches that take their time. */
export const jobsSchema = z.strictObject({
  /** Fetches of jobs that go on at the same time: of all jobs, */
  concurrency: z.int().min(1).max(1_000).default(16),
  /** and of one. */
  concurrency_per_job: z.int().min(1).max(1_000).default(8),
  /** Jobs that have not ended: of all keys, */
  max_jobs: z.int().min(1).max(100_000).default(1_000),
  /** and of one. */
  max_jobs_per_key: z.int().min(1).max(100_000).default(100),
  /** What is kept at most: of requests that are to be sent, and of answers; the oldest answers go first. */
  max_stored: stored.prefault('1GiB'),
  /** How long a job is kept after it has ended. */
  retention: between(60_000, 365 * DAY_MS, '1m to 365d').prefault('7d'),
  /** How long a job may go on that does not say. */
  deadline: between(MIN_MS, 30 * DAY_MS, '1s to 30d').prefault('24h'),
  /** When fetches are tried again: the ceilings of the waits, the last of them for all further tries, and how many there are. */
  retry: z
    .strictObject({
      /** The onion service has no descriptor: it is down, or just coming up. */
      descriptor: z
        .strictObject({
          delays: delays.prefault(['30s', '1m', '2m', '5m', '10m', '30m']),
          retries: retries.default(200),
        })
        .prefault({}),
      /** Tor, a worker or the meeting with the onion service failed. */
      circuit: z
        .strictObject({
          delays: delays.prefault(['5s', '15s', '1m', '5m', '15m']),
          retries: retries.default(50),
        })
        .prefault({}),
      /** The target was reached and gave no whole answer. */
      http: z
        .strictObject({
          delays: delays.prefault(['10s', '30s', '2m', '10m']),
          retries: retries.default(8),
        })
        .prefault({}),
    })
    .prefault({}),
  /** Where webhooks may go without Tor: addresses and networks of one's own, with a port. */
  webhook_allow: z.array(receiver).max(100).default([]),
})

import { z } from 'zod'
import { parseLocalReceiver } from '../jobs/local-receivers.ts'
import { durationFrom } from './duration-field.ts'
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

const delays = z
  .array(durationFrom(MIN_MS, DAY_MS, '1s to 1d'))
  .min(1, 'expected 1 to 20 durations')
  .max(20, 'expected 1 to 20 durations')
const whole = (min: number, max: number) => {
  const message = `expected a whole number from ${min} to ${max}`
  return z.int(message).min(min, message).max(max, message)
}
const retries = whole(0, 1_000)
const stored = size.refine((bytes) => bytes >= 1_048_576 && Number.isFinite(bytes), 'expected a size from 1MiB on')

const retriesOf = (ceilings: string[], most: number) => ({
  delays: delays.prefault(ceilings).describe('The ceilings of the waits, the last of them for all further tries.'),
  retries: retries.default(most).describe('How many further tries there are.'),
})

/** Fetches that take their time. */
export const jobsSchema = z.strictObject({
  concurrency: whole(1, 1_000)
    .default(16)
    .describe('Fetches of all jobs that go on at the same time, at each gateway.'),
  concurrency_per_job: whole(1, 1_000)
    .default(8)
    .describe('Fetches of one job that go on at the same time, at all gateways of the pool together.'),
  max_jobs: whole(1, 100_000).default(1_000).describe('Jobs of all keys that have not ended.'),
  max_jobs_per_key: whole(1, 100_000).default(100).describe('Jobs of one key that have not ended; more are refused.'),
  max_stored: stored
    .prefault('1GiB')
    .describe('What is kept at most: requests to send, and answers. The oldest answers go first.'),
  retention: durationFrom(60_000, 365 * DAY_MS, '1m to 365d')
    .prefault('7d')
    .describe('How long a job is kept after it has ended: 1m to 365d.'),
  deadline: durationFrom(MIN_MS, 30 * DAY_MS, '1s to 30d')
    .prefault('24h')
    .describe('How long a job may go on that does not say: 1s to 30d.'),
  retry: z
    .strictObject({
      descriptor: z
        .strictObject(retriesOf(['30s', '1m', '2m', '5m', '10m', '30m'], 200))
        .prefault({})
        .describe('The onion service has no descriptor: it is down, or just coming up.'),
      circuit: z
        .strictObject(retriesOf(['5s', '15s', '1m', '5m', '15m'], 50))
        .prefault({})
        .describe('Tor, a worker or the meeting with the onion service failed.'),
      http: z
        .strictObject(retriesOf(['10s', '30s', '2m', '10m'], 8))
        .prefault({})
        .describe('The target was reached and gave no whole answer.'),
    })
    .prefault({})
    .describe('When fetches are tried again, by how far the try came.'),
  webhook_allow: z
    .array(receiver)
    .max(100, 'expected 100 receivers at most')
    .prefault([])
    .describe("Where webhooks may go without Tor: addresses and networks of one's own, with a port.")
    .meta({ examples: [['127.0.0.1:9000', '10.1.0.0/16:9000', '[fd00::/8]:9000']] }),
})

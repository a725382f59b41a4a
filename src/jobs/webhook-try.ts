import { createHmac } from 'node:crypto'
import type { Caller } from '../domain/caller.ts'
import { CbtorError, codeOf } from '../domain/errors.ts'
import type { FetchAnswer, FetchRequest } from '../domain/exchange.ts'
import type { JobTally, WebhookDelivery } from '../domain/job.ts'
import { deadline } from '../lib/abort.ts'
import type { Clock } from '../lib/clock.ts'
import { isoTime } from '../lib/iso-time.ts'
import type { Random } from '../lib/random.ts'
import type { StoredJob } from './job-store.ts'
import { type LocalReceiver, type LocalTarget, localTargetOf } from './local-receivers.ts'

export interface WebhookTryOptions {
  readonly clock: Clock
  callerOf(owner: string): Caller | undefined
  fetch(request: FetchRequest, signal: AbortSignal): Promise<FetchAnswer>
  /** Resolves with the status of the answer. */
  postLocally(
    to: LocalTarget,
    headers: Readonly<Record<string, string>>,
    body: string,
    signal: AbortSignal,
  ): Promise<number>
}

const SECOND_MS = 1_000
const MINUTE_MS = 60 * SECOND_MS
/** The ceilings of the waits between tries, with full jitter; after the last one it has failed. */
const DELAYS_MS = [
  10 * SECOND_MS,
  30 * SECOND_MS,
  2 * MINUTE_MS,
  10 * MINUTE_MS,
  30 * MINUTE_MS,
  60 * MINUTE_MS,
  180 * MINUTE_MS,
]
const LOCAL_LIMIT_MS = 10 * SECOND_MS
const TOR_LIMIT_MS = 60 * SECOND_MS
/** Of the receiver's answer, which nobody reads. */
const MAX_ANSWER_BYTES = 64 * 1024

/** Sends it once: by Tor, or to one of the `receivers`. Resolves with the status of the receiver, or the code of the problem. */
export async function tryWebhook(
  { clock, callerOf, fetch, postLocally }: WebhookTryOptions,
  receivers: readonly LocalReceiver[],
  job: StoredJob,
  tally: JobTally,
  signal: AbortSignal,
): Promise<number | string> {
  const url = job.webhook?.url ?? ''
  const body = webhookText(job, tally, clock.now())
  const headers = webhookHeaders(job.id, body, job.webhook?.secret, clock.now())
  try {
    const local = localTargetOf(url, receivers)
    if (local !== undefined) {
      const late = () => new CbtorError('timeout', 'Cannot send the webhook: no answer in time')
      using limit = deadline(clock, LOCAL_LIMIT_MS, signal, late)
      return await postLocally(local, headers, body, limit.signal)
    }
    const caller = callerOf(job.owner)
    if (caller === undefined) return 'key_not_found'
    const { status } = await fetch({ ...requestOf(url, headers, body), caller }, signal)
    return status
  } catch (error) {
    if (error instanceof CbtorError) return error.code
    // Of a local receiver: whatever its socket said.
    return error instanceof Error && 'code' in error ? 'connection_lost' : codeOf(error)
  }
}

/** How it stands after a try. `tries`: before it. */
export function deliveryAfter(tries: number, outcome: number | string, now: number, random: Random): WebhookDelivery {
  const delivery: WebhookDelivery = { state: 'failed', tries: tries + 1, outcome: String(outcome) }
  if (typeof outcome === 'number' && outcome >= 200 && outcome <= 299) return { ...delivery, state: 'delivered' }
  const delayMs = DELAYS_MS[tries]
  if (outcome === 410 || delayMs === undefined) return delivery
  const nextAt = now + Math.ceil(Math.max(SECOND_MS, random.float() * delayMs))
  return { ...delivery, state: 'pending', nextAt }
}

/** What the receiver is told: nothing of the targets, which it may not be meant to know. */
export function webhookText(
  { id, name, state, createdAt, endedAt = 0, fetches }: StoredJob,
  { done, failed, cancelled }: Pick<JobTally, 'done' | 'failed' | 'cancelled'>,
  now: number,
): string {
  return JSON.stringify({
    type: 'job.ended',
    sent_at: isoTime(now),
    job: {
      id,
      name: name ?? null,
      state,
      fetches,
      done,
      failed,
      cancelled,
      created_at: isoTime(createdAt),
      ended_at: isoTime(endedAt),
    },
  })
}

const SECRET_PREFIX = 'whsec_'

/** As of Standard Webhooks 1.0 (https://www.standardwebhooks.com): the id is the same for all tries, the time is of each one. */
function webhookHeaders(id: string, body: string, secret: string | undefined, now: number): Record<string, string> {
  const timestamp = String(Math.floor(now / SECOND_MS))
  const headers = { 'content-type': 'application/json', 'webhook-id': id, 'webhook-timestamp': timestamp }
  if (secret === undefined) return headers
  const key = secret.startsWith(SECRET_PREFIX) ? Buffer.from(secret.slice(SECRET_PREFIX.length), 'base64') : secret
  const mac = createHmac('sha256', key).update(`${id}.${timestamp}.${body}`).digest('base64')
  return { ...headers, 'webhook-signature': `v1,${mac}` }
}

/** By circuits of its own: the receiver is not to be linked to the targets, nor they to it. */
function requestOf(url: string, headers: Readonly<Record<string, string>>, body: string): FetchRequest {
  return {
    ...{ url, method: 'POST', headers: Object.entries(headers), body: Buffer.from(body), isolation: 'request' },
    ...{
      timeoutMs: TOR_LIMIT_MS,
      maxBytes: MAX_ANSWER_BYTES,
      allowTruncated: true,
      followRedirects: false,
      maxRedirects: 0,
    },
    ...{ allowDowngrade: false, allowOnionToClearnet: false },
  }
}

import type { ServerSentEvent } from '../../../src/client/server-sent-events.ts'
import type { EventBody, EventsBody } from '../api/bodies.ts'
import { type Api, ApiFailure, textOf } from '../api/client.ts'
import type { LiveInput, LiveState } from './live-state.ts'
import { STALE_AFTER_MS } from './live-state.ts'

/** Time as it passes; `time/clock.ts` but for tests. */
export interface Time {
  now(): number
  sleep(ms: number, signal: AbortSignal): Promise<void>
  every(ms: number, call: () => void): () => void
}

export interface LiveStore {
  readonly state: LiveState
  send(input: LiveInput): void
}

const FIRST_RETRY_MS = 500
const LONGEST_RETRY_MS = 15_000
/** So many events of before are asked for. */
const EARLIER_EVENTS = 200

/** Keeps the store at what the service is, until `signal` aborts: by one stream, taken up again where it broke off. */
export async function followService(
  api: Pick<Api, 'get' | 'stream'>,
  store: LiveStore,
  time: Time,
  signal: AbortSignal,
): Promise<void> {
  let retryMs = FIRST_RETRY_MS
  const stopWatching = time.every(1_000, () => {
    const { heardAt } = store.state
    if (heardAt !== undefined && time.now() - heardAt > STALE_AFTER_MS) store.send({ type: 'silence', now: time.now() })
  })
  while (!signal.aborted) {
    let reason = 'The service ended the stream.'
    try {
      for await (const message of messages(api, store, time, signal)) {
        take(message, store, time.now())
        retryMs = FIRST_RETRY_MS
      }
    } catch (error) {
      if (signal.aborted) break
      if (error instanceof ApiFailure && isFinal(error)) {
        store.send({ type: 'refused', reason: error.message })
        break
      }
      reason = textOf(error)
    }
    if (signal.aborted) break
    store.send({ type: 'broken', reason, now: time.now(), retryAt: time.now() + retryMs })
    await time.sleep(retryMs, signal)
    retryMs = Math.min(retryMs * 2, LONGEST_RETRY_MS)
  }
  stopWatching()
}

async function* messages(
  api: Pick<Api, 'get' | 'stream'>,
  store: LiveStore,
  time: Time,
  signal: AbortSignal,
): AsyncGenerator<ServerSentEvent, void> {
  let lastId = store.state.events.at(-1)?.id
  if (lastId === undefined) {
    const earlier = await api.get<EventsBody>(`/api/v1/events?limit=${EARLIER_EVENTS}`, signal)
    store.send({ type: 'events', events: earlier.events, now: time.now() })
    lastId = earlier.next_since_id
  }
  yield* api.stream(`/api/v1/live/stream?since_id=${lastId}`, signal)
}

function take({ event, data }: ServerSentEvent, store: LiveStore, now: number): void {
  const body = JSON.parse(data)
  if (event === 'live') store.send({ type: 'look', body, now })
  else if (event === 'change') store.send({ type: 'change', change: body, now })
  else if (event === 'event') store.send({ type: 'events', events: [body as EventBody], now })
  else if (event === 'events_lost') store.send({ type: 'events-lost' })
}

/** What another try does not mend: a key that is refused or lacks a scope. */
function isFinal({ problem }: ApiFailure): boolean {
  return problem?.status === 401 || problem?.status === 403
}

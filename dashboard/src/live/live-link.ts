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
/** A connection that has been silent for so long is gone, though nobody said so: a network that changes cuts it without a word. The service waits as long for a reader. */
const GONE_AFTER_MS = 30_000
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
  let hasEarlier = false
  let connection: ReturnType<typeof connect> | undefined
  const stopWatching = time.every(1_000, () => {
    connection?.giveUpWhenSilent()
    const { heardAt } = store.state
    if (heardAt !== undefined && time.now() - heardAt > STALE_AFTER_MS) store.send({ type: 'silence', now: time.now() })
  })
  while (!signal.aborted) {
    let reason = 'The service ended the stream.'
    connection = connect(time, signal)
    try {
      for await (const message of api.stream(streamPath(store), connection.signal)) {
        connection.heard()
        take(message, store, time.now())
        retryMs = FIRST_RETRY_MS
        if (!hasEarlier) void takeEarlier()
      }
    } catch (error) {
      if (signal.aborted) break
      if (error instanceof ApiFailure && isFinal(error)) {
        store.send({ type: 'refused', reason: error.message })
        break
      }
      reason = textOf(error)
    } finally {
      connection.end()
    }
    if (signal.aborted) break
    store.send({ type: 'broken', reason, now: time.now(), retryAt: time.now() + retryMs })
    await time.sleep(retryMs, signal)
    retryMs = Math.min(retryMs * 2, LONGEST_RETRY_MS)
  }
  stopWatching()

  /** Not before the stream has begun: so none that happens meanwhile is missed, and what is so now is seen first. */
  async function takeEarlier() {
    hasEarlier = true
    try {
      const { events } = await api.get<EventsBody>(`/api/v1/events?limit=${EARLIER_EVENTS}`, signal)
      store.send({ type: 'events', events, now: time.now() })
    } catch {
      hasEarlier = false // the next stream tries again; if this one has broken off, too, it says why
    }
  }
}

/** One connection: its signal aborts with `signal`, and when it is given up because nothing is heard on it. */
function connect(time: Time, signal: AbortSignal) {
  const end = new AbortController()
  const abort = () => end.abort(signal.reason)
  signal.addEventListener('abort', abort)
  let heardAt = time.now()
  return {
    signal: end.signal,
    heard() {
      heardAt = time.now()
    },
    giveUpWhenSilent() {
      if (time.now() - heardAt >= GONE_AFTER_MS)
        end.abort(new ApiFailure(`Nothing was heard of the service for ${GONE_AFTER_MS / 1_000} s.`))
    },
    end: () => signal.removeEventListener('abort', abort),
  }
}

/** From the last event that is known on; without one, from the next one on. */
function streamPath({ state }: LiveStore): string {
  const lastId = state.events.at(-1)?.id
  return `/api/v1/live/stream${lastId === undefined ? '' : `?since_id=${lastId}`}`
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

import type { ServerSentEvent } from '../../../src/client/server-sent-events.ts'
import type { EventBody, EventsBody, LiveBody } from '../api/bodies.ts'
import { type Api, ApiFailure, textOf } from '../api/client.ts'
import type { LiveInput, LiveState } from './live-state.ts'
import { STALE_AFTER_MS } from './live-state.ts'

/** Time as it passes, and whether anybody looks; `time/clock.ts` but for tests. */
export interface Time {
  now(): number
  sleep(ms: number, signal: AbortSignal): Promise<void>
  every(ms: number, call: () => void): () => void
  /** Whether the page is in a tab that is shown. */
  isSeen(): boolean
  /** Calls `call` each time that it comes to be shown or hidden, until what is returned is called. */
  onSight(call: () => void): () => void
}

export interface LiveStore {
  readonly state: LiveState
  send(input: LiveInput): void
}

const FIRST_RETRY_MS = 500
const LONGEST_RETRY_MS = 15_000
/** A connection that has been silent for so long is gone, though nobody said so: a network that changes cuts it without a word. The service waits as long for a reader. */
const GONE_AFTER_MS = 30_000
/** Hidden for so long, the page lets go of its connection: a browser has six for all tabs, and a seventh tab would wait for ever. */
const HIDDEN_FOR_MS = 10_000
/** Then it looks so often, for its title says how the pool is. */
const LOOK_EVERY_MS = 30_000
/** A look comes late in a tab that is hidden, where browsers let time pass in minutes. */
const LOOK_STALE_AFTER_MS = 150_000
const HIDDEN = new Error('The page is hidden.')
/** So many events of before are asked for. */
const EARLIER_EVENTS = 200

/**
 * Keeps the store at what the service is, until `signal` aborts: by one stream, taken up again where it broke off; while the page is
 * hidden, by a look now and then.
 */
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
    connection?.judge()
    const { heardAt } = store.state
    const staleAfterMs = connection === undefined ? LOOK_STALE_AFTER_MS : STALE_AFTER_MS
    if (heardAt !== undefined && time.now() - heardAt > staleAfterMs) store.send({ type: 'silence', now: time.now() })
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
    if (connection.signal.reason === HIDDEN) {
      connection = undefined
      await lookNowAndThen()
      continue
    }
    store.send({ type: 'broken', reason, now: time.now(), retryAt: time.now() + retryMs })
    await time.sleep(retryMs, signal)
    retryMs = Math.min(retryMs * 2, LONGEST_RETRY_MS)
  }
  stopWatching()

  /** Until the page is seen again, or what is wrong is for the stream to tell. */
  async function lookNowAndThen() {
    const { end, unlink } = linked(signal)
    const stop = time.onSight(() => time.isSeen() && end.abort())
    while (!end.signal.aborted && !time.isSeen()) {
      try {
        const body = await api.get<LiveBody>('/api/v1/live', end.signal)
        store.send({ type: 'look', body, now: time.now() })
      } catch {
        break
      }
      await time.sleep(LOOK_EVERY_MS, end.signal)
    }
    stop()
    unlink()
  }

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

/** One connection: its signal aborts with `signal`, and when nothing is heard on it or nobody sees what is. */
function connect(time: Time, signal: AbortSignal) {
  const { end, unlink } = linked(signal)
  let heardAt = time.now()
  let seenAt = time.now()
  return {
    signal: end.signal,
    heard() {
      heardAt = time.now()
    },
    /** To be called each second. */
    judge() {
      const now = time.now()
      if (time.isSeen()) seenAt = now
      if (now - seenAt >= HIDDEN_FOR_MS) end.abort(HIDDEN)
      if (now - heardAt >= GONE_AFTER_MS)
        end.abort(new ApiFailure(`Nothing was heard of the service for ${GONE_AFTER_MS / 1_000} s.`))
    },
    end: unlink,
  }
}

/** What aborts with `signal`, and by itself. */
function linked(signal: AbortSignal) {
  const end = new AbortController()
  const abort = () => end.abort(signal.reason)
  signal.addEventListener('abort', abort)
  return { end, unlink: () => signal.removeEventListener('abort', abort) }
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

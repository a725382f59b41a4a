import type { RecordedEvent } from '../domain/events.ts'
import { onAbort } from '../lib/abort.ts'
import type { Clock } from '../lib/clock.ts'
import type { EventHistory } from './backend.ts'
import { type EventFilter, type EventsLostBody, isWanted, toEventBody } from './schemas/event.ts'

export interface EventStreamOptions {
  readonly history: EventHistory
  readonly filter: EventFilter
  /** Begin after the event with this id; undefined: with the next one. */
  readonly sinceId: number | undefined
  readonly clock: Clock
  /** Called when the reader takes nothing for so long that it must be given up. */
  readonly cutOff: () => void
}

/** Proxies and readers take a connection for dead that is silent for longer. */
const HEARTBEAT_MS = 15_000
/** A reader that has not taken a chunk by then is cut off. */
export const STALL_MS = 30_000
/** How long a browser waits before it connects again. */
const RETRY_MS = 2_000

/**
 * Events as server-sent events (https://html.spec.whatwg.org/multipage/server-sent-events.html), until `signal` aborts.
 * A reader has no buffer of its own, only its place in the history: a slow one falls behind, and is cut off when it does
 * not read at all, or when what it should read next is no longer kept.
 */
export async function* eventStream(options: EventStreamOptions, signal: AbortSignal): AsyncGenerator<string, void> {
  const { history, filter, clock, cutOff } = options
  let { place, chunk } = beginning(options)
  while (!signal.aborted) {
    {
      using _stall = clock.timer(STALL_MS, cutOff)
      using _end = onAbort(signal, cutOff)
      yield chunk
    }
    chunk = ''
    const beatAt = clock.monotonic() + HEARTBEAT_MS
    while (chunk === '' && !signal.aborted) {
      const { entries, isComplete } = history.since(place)
      if (!isComplete) return cutOff()
      place = entries.at(-1)?.id ?? place
      chunk = entries.flatMap((entry) => (isWanted(entry, filter) ? [messageOf(entry, entry.event.type)] : [])).join('')
      if (chunk !== '') break
      const waitMs = beatAt - clock.monotonic()
      // With the place, lest a reader of few types begin too far back when it connects again.
      if (waitMs <= 0) chunk = `: heartbeat\nid: ${place}\n\n`
      else await nextEvent(history, clock, waitMs, signal)
    }
  }
}

/** The place to begin at and the first words: at once, so that the reader gets its headers. */
export function beginning({ history, sinceId }: Pick<EventStreamOptions, 'history' | 'sinceId'>): {
  place: number
  chunk: string
} {
  const place = sinceId ?? history.newestId
  const { entries, isComplete } = history.since(place)
  if (isComplete) return { place, chunk: `retry: ${RETRY_MS}\nid: ${place}\n\n` }
  const oldestId = entries[0]?.id ?? history.newestId + 1
  const lost: EventsLostBody = { since_id: place, oldest_id: oldestId }
  return {
    place: oldestId - 1,
    chunk: `retry: ${RETRY_MS}\nid: ${oldestId - 1}\nevent: events_lost\ndata: ${JSON.stringify(lost)}\n\n`,
  }
}

/** `name`: by which readers tell messages apart. */
export function messageOf(event: RecordedEvent, name: string): string {
  return `id: ${event.id}\nevent: ${name}\ndata: ${JSON.stringify(toEventBody(event))}\n\n`
}

/** Resolves with the next event, after `ms`, or when `signal` aborts. */
export async function nextEvent(history: EventHistory, clock: Clock, ms: number, signal: AbortSignal): Promise<void> {
  const { promise, resolve } = Promise.withResolvers<void>()
  using _event = history.onAdded(() => resolve())
  using _timer = clock.timer(ms, resolve)
  using _end = onAbort(signal, () => resolve())
  await promise
}

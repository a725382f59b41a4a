import { onAbort } from '../lib/abort.ts'
import { beginning, type EventStreamOptions, messageOf, nextEvent, STALL_MS } from './event-stream.ts'
import type { LiveLook, LiveLooks } from './live-looks.ts'

/** `sinceId`: of the events that are told, too. */
export interface LiveStreamOptions extends Omit<EventStreamOptions, 'filter'> {
  readonly looks: LiveLooks
}

const CHANGE_EVERY_MS = 1_000
/** After an event: what it changes is there by then, and many events at once make one change. */
const CHANGE_AFTER_EVENT_MS = 150

/**
 * All that a page shows, as server-sent events until `signal` aborts: the whole, then what changes, and each event as it happens.
 * As with `eventStream`, a reader has no buffer of its own, only what it was told last and its place in the history.
 */
export async function* liveStream(options: LiveStreamOptions, signal: AbortSignal): AsyncGenerator<string, void> {
  const { looks, history, clock, cutOff } = options
  const start = beginning(options)
  let { place } = start
  let look = looks.now()
  let chunk = `${start.chunk}event: live\ndata: ${look.whole}\n\n`
  let dueAt = clock.monotonic() + CHANGE_EVERY_MS
  while (!signal.aborted) {
    {
      using _stall = clock.timer(STALL_MS, cutOff)
      using _end = onAbort(signal, cutOff)
      yield chunk
    }
    chunk = ''
    while (chunk === '' && !signal.aborted) {
      const { entries, isComplete } = history.since(place)
      if (!isComplete) return cutOff()
      place = entries.at(-1)?.id ?? place
      chunk = entries.map((entry) => messageOf(entry, 'event')).join('')
      const now = clock.monotonic()
      if (chunk !== '') dueAt = Math.min(dueAt, now + CHANGE_AFTER_EVENT_MS)
      if (now >= dueAt) {
        const next: LiveLook = looks.now()
        chunk += `event: change\ndata: ${next.changesSince(look)}\n\n`
        look = next
        dueAt = now + CHANGE_EVERY_MS
      }
      if (chunk === '') await nextEvent(history, clock, dueAt - now, signal)
    }
  }
}

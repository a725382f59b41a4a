import { type ApiClient, ApiProblem, ApiUnreachable, type Event, type EventsQuery } from '../client/client.ts'
import type { Clock } from '../lib/clock.ts'

const WAITS_MS = [1_000, 2_000, 5_000, 10_000, 30_000]

export type Heard =
  | { readonly type: 'event'; readonly event: Event }
  /** Something about the stream itself, a sentence for people. */
  | { readonly type: 'note'; readonly text: string }

export interface FollowOptions {
  readonly api: ApiClient
  readonly query: EventsQuery & { readonly since_id: number }
  readonly clock: Clock
}

/**
 * Events as they happen, of a service that has been spoken to. A stream that ends is opened again, from its last event on. Rejects
 * with the signal's reason, and with a problem that will not pass.
 */
export async function* followEvents(
  { api, query, clock }: FollowOptions,
  signal: AbortSignal,
): AsyncGenerator<Heard, void> {
  let since = query.since_id
  for (let tries = 0; ; tries++) {
    try {
      for await (const news of api.watchEvents({ ...query, since_id: since }, signal)) {
        if (tries > 0) yield { type: 'note', text: 'the service is there again' }
        tries = 0
        if (news.type === 'event') {
          since = news.event.id
          yield news
        } else {
          yield { type: 'note', text: lostText(news.lost.since_id, news.lost.oldest_id) }
        }
      }
      signal.throwIfAborted()
    } catch (error) {
      if (!(error instanceof ApiUnreachable || (error instanceof ApiProblem && error.retryable))) throw error
    }
    if (tries === 0) yield { type: 'note', text: 'the service has ended the stream of events; trying to go on' }
    await clock.sleep(WAITS_MS[Math.min(tries, WAITS_MS.length - 1)] ?? 0, signal)
  }
}

function lostText(after: number, oldest: number | null): string {
  const until = oldest === null ? '' : ` and before ${oldest}`
  return `the events after ${after}${until} are no longer kept, and are lost`
}

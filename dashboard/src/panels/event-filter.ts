import type { EventBody } from '../api/bodies.ts'

/** Which events are shown. What is empty filters nothing. */
export interface EventFilter {
  readonly severities: readonly string[]
  readonly type: string
  readonly worker: string
  readonly text: string
}

export const EVERYTHING: EventFilter = { severities: [], type: '', worker: '', text: '' }

export function isWanted(event: EventBody, { severities, type, worker, text }: EventFilter): boolean {
  return (
    (severities.length === 0 || severities.includes(event.severity)) &&
    (type === '' || event.type === type) &&
    (worker === '' || event.worker === worker) &&
    (text === '' || textOf(event).toLowerCase().includes(text.toLowerCase()))
  )
}

/** With the gateway before it that it happened at, where that is another one. */
export function textOf({ replica, text }: Pick<EventBody, 'replica' | 'text'>): string {
  return replica === null ? text : `${replica}: ${text}`
}

/**
 * What the service can filter by itself, as the path of the events before those that the page has; undefined when nothing is. It knows
 * the workers of now alone: unless `isWorker`, as one that is gone or half written, the page filters what comes.
 */
export function pathOf(
  { severities, type, worker }: EventFilter,
  { isWorker, limit }: { readonly isWorker: boolean; readonly limit: number },
): string | undefined {
  const query = new URLSearchParams()
  if (severities.length > 0) query.set('severity', severities.join(','))
  if (type !== '') query.set('type', type)
  if (isWorker) query.set('worker', worker)
  if (query.size === 0 && worker === '') return undefined
  query.set('limit', String(limit))
  return `/api/v1/events?${query}`
}

/** Each event once, the newest first. */
export function newestFirst(...lists: readonly (readonly EventBody[])[]): readonly EventBody[] {
  const byId = new Map(lists.flat().map((event) => [event.id, event]))
  return [...byId.values()].sort((one, other) => other.id - one.id)
}

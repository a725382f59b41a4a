import type { EventBody, LiveBody, LiveChangeBody, LiveWorkerBody, SeriesPointBody } from '../api/bodies.ts'
import { parseTime } from '../time/clock.ts'

/** How the page hears of the service. `since` and `retryAt` are by this computer's clock, in epoch milliseconds. */
export type Link =
  | { readonly status: 'connecting' }
  | { readonly status: 'live' }
  /** Connected, but nothing has been heard for longer than should be. */
  | { readonly status: 'stale'; readonly since: number }
  | { readonly status: 'reconnecting'; readonly since: number; readonly retryAt: number; readonly reason: string }
  /** It will not try again by itself. */
  | { readonly status: 'refused'; readonly reason: string }

/** All that the page knows of the service, as of the latest message. */
export interface LiveState {
  readonly link: Link
  /** Undefined before the first look. */
  readonly view: LiveView | undefined
  /** The newest last. */
  readonly events: readonly EventBody[]
  /** Whether events are missing before the oldest one shown, because the service keeps them no longer. */
  readonly hasLostEvents: boolean
  /** When the latest message came, by this computer's clock. */
  readonly heardAt: number | undefined
  /** What to add to this computer's time to have the service's. */
  readonly skewMs: number
}

export interface LiveView extends Omit<LiveBody, 'requests_total'> {
  readonly requestsTotal: number
}

export type LiveInput =
  | { readonly type: 'look'; readonly body: LiveBody; readonly now: number }
  | { readonly type: 'change'; readonly change: LiveChangeBody; readonly now: number }
  /** Those of before the stream, or one of the stream. */
  | { readonly type: 'events'; readonly events: readonly EventBody[]; readonly now: number }
  | { readonly type: 'events-lost' }
  /** Nothing was heard for too long. */
  | { readonly type: 'silence'; readonly now: number }
  | { readonly type: 'broken'; readonly reason: string; readonly now: number; readonly retryAt: number }
  | { readonly type: 'refused'; readonly reason: string }

export const NOTHING_YET: LiveState = {
  link: { status: 'connecting' },
  view: undefined,
  events: [],
  hasLostEvents: false,
  heardAt: undefined,
  skewMs: 0,
}

export const MAX_EVENTS = 1_000
/** Of the series: the last 15 minutes. */
export const MAX_POINTS = 90
/** A message comes each second: after so long without one, what is shown is old. */
export const STALE_AFTER_MS = 5_000

export function reduce(state: LiveState, input: LiveInput): LiveState {
  switch (input.type) {
    case 'look': {
      const { requests_total: requestsTotal, ...body } = input.body
      return { ...heard(state, input.now, body.at), view: { ...body, requestsTotal } }
    }
    case 'change': {
      if (state.view === undefined) return state
      return { ...heard(state, input.now, input.change.at), view: changed(state.view, input.change) }
    }
    case 'events':
      return { ...state, events: merged(state.events, input.events) }
    case 'events-lost':
      return { ...state, hasLostEvents: true }
    case 'silence':
      return state.link.status === 'live' ? { ...state, link: { status: 'stale', since: input.now } } : state
    case 'broken': {
      const since = state.link.status === 'reconnecting' ? state.link.since : input.now
      return { ...state, link: { status: 'reconnecting', since, retryAt: input.retryAt, reason: input.reason } }
    }
    case 'refused':
      return { ...state, link: { status: 'refused', reason: input.reason } }
  }
}

function heard(state: LiveState, now: number, at: string): LiveState {
  return { ...state, link: { status: 'live' }, heardAt: now, skewMs: parseTime(at) - now }
}

function changed(view: LiveView, change: LiveChangeBody): LiveView {
  return {
    ...view,
    at: change.at,
    pool: change.pool,
    series: mergedSeries(view.series, change.series),
    problems: change.problems ?? view.problems,
    workers: mergedWorkers(view.workers, change.workers, change.removed),
    requests: change.requests,
    requestsTotal: change.requests_total,
  }
}

function mergedSeries(known: readonly SeriesPointBody[], newer: readonly SeriesPointBody[]): SeriesPointBody[] {
  const first = newer[0]
  if (first === undefined) return [...known]
  return [...known.filter(({ at }) => at < first.at), ...newer].slice(-MAX_POINTS)
}

/** Workers that have not changed stay the very objects that they were, so that nobody draws them anew. */
function mergedWorkers(
  known: LiveWorkerBody[],
  newer: readonly LiveWorkerBody[],
  removed: readonly string[],
): LiveWorkerBody[] {
  if (newer.length === 0 && removed.length === 0) return known
  const byId = new Map(known.map((worker) => [worker.id, worker]))
  for (const id of removed) byId.delete(id)
  for (const worker of newer) byId.set(worker.id, worker)
  return [...byId.values()].sort((one, other) => one.n - other.n)
}

/** Each event once, by id. */
function merged(known: readonly EventBody[], newer: readonly EventBody[]): readonly EventBody[] {
  const newest = known.at(-1)?.id ?? -1
  if (newer.every(({ id }) => id > newest)) return [...known, ...newer].slice(-MAX_EVENTS)
  const byId = new Map([...known, ...newer].map((event) => [event.id, event]))
  return [...byId.values()].sort((one, other) => one.id - other.id).slice(-MAX_EVENTS)
}

import type { Event, Live, LiveMessage } from '../../client/client.ts'

/** All that the view shows of the service. */
export interface TopState {
  readonly live: Live
  /** The latest ones, the newest last. */
  readonly events: readonly Event[]
}

const MAX_EVENTS = 50
const MAX_POINTS = 90

/** The state after a message of the stream. The first message must be the whole of it. */
export function afterMessage(state: TopState | undefined, message: LiveMessage): TopState | undefined {
  if (message.type === 'live') return { live: message.live, events: state?.events ?? [] }
  if (state === undefined || message.type === 'lost') return state
  if (message.type === 'event') return { ...state, events: withEvents(state.events, [message.event]) }
  const {
    at,
    pool,
    series,
    problems = state.live.problems,
    workers,
    removed,
    requests,
    requests_total,
  } = message.change
  const changed = new Map(workers.map((worker) => [worker.id, worker]))
  const kept = state.live.workers.flatMap((worker) =>
    removed.includes(worker.id) ? [] : [take(changed, worker.id) ?? worker],
  )
  const live: Live = {
    ...state.live,
    ...{ at, pool, problems, requests, requests_total },
    series: withPoints(state.live.series, series),
    workers: [...kept, ...changed.values()].sort((one, other) => one.n - other.n),
  }
  return { ...state, live }
}

/** Each event once, in their order. */
function withEvents(before: readonly Event[], more: readonly Event[]): readonly Event[] {
  const newest = before.at(-1)?.id ?? -1
  return [...before, ...more.filter(({ id }) => id > newest)].slice(-MAX_EVENTS)
}

function withPoints(before: Live['series'], more: Live['series']): Live['series'] {
  const replaced = new Set(more.map(({ at }) => at))
  return [...before.filter(({ at }) => !replaced.has(at)), ...more].slice(-MAX_POINTS)
}

function take<T>(map: Map<string, T>, key: string): T | undefined {
  const value = map.get(key)
  map.delete(key)
  return value
}

import type { ApiClient, EventsQuery, LiveMessage, RawAnswer, StreamedEvent, WorkerRef } from './api-client.ts'
import { Calls } from './calls.ts'
import type { FetchRawInput } from './openapi.ts'
import { readServerSentEvents } from './server-sent-events.ts'
import type { Transport } from './transport.ts'

/** The client, over any transport. `baseUrl` is for messages. */
export function clientOver(
  transport: Transport,
  options: { readonly baseUrl: string; readonly key: string | undefined },
): ApiClient {
  const calls = new Calls(transport, options)

  async function fetchRaw(body: FetchRawInput, signal?: AbortSignal): Promise<RawAnswer> {
    return await calls.answer(
      'fetchRawByPost',
      { body, signal },
      ({ headers }) => headers['cbtor-delivered'] !== undefined,
    )
  }

  async function* watchEvents(query: EventsQuery = {}, signal?: AbortSignal): AsyncGenerator<StreamedEvent, void> {
    for await (const { event, data } of messages('streamEvents', query, signal)) {
      if (event === 'events_lost') yield { type: 'lost', lost: JSON.parse(data) }
      else yield { type: 'event', event: JSON.parse(data) }
    }
  }

  async function* watchLive(query: object = {}, signal?: AbortSignal): AsyncGenerator<LiveMessage, void> {
    for await (const { event, data } of messages('streamLive', query, signal)) {
      if (event === 'events_lost') yield { type: 'lost', lost: JSON.parse(data) }
      else if (event === 'live') yield { type: 'live', live: JSON.parse(data) }
      else if (event === 'change') yield { type: 'change', change: JSON.parse(data) }
      else yield { type: 'event', event: JSON.parse(data) }
    }
  }

  async function* messages(id: 'streamEvents' | 'streamLive', query: object, signal: AbortSignal | undefined) {
    const { body } = await calls.answer(id, { query, signal })
    try {
      yield* readServerSentEvents(body)
    } catch (cause) {
      signal?.throwIfAborted()
      throw calls.brokenOff(id, cause)
    }
  }

  const n = (ref: WorkerRef) => ({ n: ref })
  const client: ApiClient = {
    fetch: (body, signal) => calls.json('fetch', { body, signal }),
    fetchRaw,
    liveness: (signal) => calls.json('getLiveness', { signal }),
    health: (signal) => calls.json('getHealth', { signal }),
    mode: (signal) => calls.json('getMode', { signal }),
    setMode: (mode, signal) => calls.json('setMode', { body: { mode }, signal }),
    reloadConfig: (signal) => calls.json('reloadConfig', { signal }),
    endpoints: (signal) => calls.json('getEndpoints', { signal }),
    replicas: (signal) => calls.json('getReplicas', { signal }),
    workers: (signal) => calls.json('listWorkers', { signal }),
    worker: (ref, signal) => calls.json('getWorker', { path: n(ref), signal }),
    startTor: (ref, signal) => calls.json('startTor', { path: n(ref), signal }),
    stopTor: (ref, signal) => calls.json('stopTor', { path: n(ref), signal }),
    restartTor: (ref, signal) => calls.json('restartTor', { path: n(ref), signal }),
    rebootBox: (ref, signal) => calls.json('rebootBox', { path: n(ref), signal }),
    status: (signal) => calls.json('getStatus', { signal }),
    drain: (ref, options, signal) => calls.json('drainWorker', { body: { worker: ref, ...options }, signal }),
    enable: (ref, signal) => calls.json('enableWorker', { body: { worker: ref }, signal }),
    newCircuits: (ref, body = {}, signal) => calls.json('newCircuits', { path: n(ref), body, signal }),
    submitJob: (body, { idempotencyKey } = {}, signal) =>
      calls.json('submitJob', { body, headers: idempotencyKey ? { 'idempotency-key': idempotencyKey } : {}, signal }),
    jobs: (query = {}, signal) => calls.json('listJobs', { query, signal }),
    allJobs: (query = {}, signal) =>
      pages(async (cursor) => {
        const { jobs, next_cursor } = await client.jobs({ ...query, ...cursor }, signal)
        return [jobs, next_cursor]
      }),
    job: (id, signal) => calls.json('getJob', { path: { id }, signal }),
    jobResults: (id, query = {}, signal) => calls.json('listJobResults', { path: { id }, query, signal }),
    allJobResults: (id, query = {}, signal) =>
      pages(async (cursor) => {
        const { results, next_cursor } = await client.jobResults(id, { ...query, ...cursor }, signal)
        return [results, next_cursor]
      }),
    jobResult: (id, index, signal) => calls.json('getJobResult', { path: { id, n: index }, signal }),
    cancelJob: (id, signal) => calls.json('cancelJob', { path: { id }, signal }),
    removeJob: (id, signal) => calls.json('removeJob', { path: { id }, signal }),
    sessions: (signal) => calls.json('listSessions', { signal }),
    session: (key, signal) => calls.json('getSession', { path: { key }, signal }),
    rotateSession: (key, signal) => calls.json('rotateSession', { path: { key }, signal }),
    endSession: (key, signal) => calls.json('endSession', { path: { key }, signal }),
    events: (query = {}, signal) => calls.json('listEvents', { query, signal }),
    watchEvents,
    live: (signal) => calls.json('getLive', { signal }),
    watchLive,
    requests: (query = {}, signal) => calls.json('listRequests', { query, signal }),
    whoami: (signal) => calls.json('whoAmI', { signal }),
    keys: (signal) => calls.json('listKeys', { signal }),
    createKey: (body, signal) => calls.json('createKey', { body, signal }),
    revokeKey: (id, signal) => calls.json('revokeKey', { path: { id }, signal }),
    metrics: (signal) => calls.text('getMetrics', { signal }),
    problemType: (code, signal) => calls.json('getProblemType', { path: { code }, signal }),
  }
  return client
}

/** `page` resolves with what is on the page that begins with its argument, and with the next page's `cursor`. */
async function* pages<T>(
  page: (cursor: { readonly cursor?: string }) => Promise<readonly [readonly T[], string | null]>,
): AsyncGenerator<T, void> {
  for (let cursor: string | null | undefined; cursor !== null; ) {
    const [items, next]: readonly [readonly T[], string | null] = await page(cursor === undefined ? {} : { cursor })
    yield* items
    cursor = next
  }
}

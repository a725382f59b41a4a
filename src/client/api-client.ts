import type {
  CreatedKey,
  Endpoints,
  Event,
  Events,
  FetchAnswer,
  FetchInput,
  FetchRawInput,
  Health,
  InspectedWorker,
  Job,
  JobOrderInput,
  JobResult,
  JobResults,
  Jobs,
  Key,
  Keys,
  Live,
  ModeAnswer,
  ModeInput,
  NewCircuits,
  NewCircuitsPending,
  NewKeyInput,
  Operations,
  ProblemType,
  ReloadedConfig,
  Replicas,
  Requests,
  Session,
  Sessions,
  Status,
  Whoami,
  Worker,
  Workers,
} from './openapi.ts'
import type { ByteStream } from './transport.ts'

/** A worker's id or number. */
export type WorkerRef = string | number

/** Which events; all that are left out are no filter. */
export interface EventsQuery {
  readonly type?: readonly Event['type'][]
  readonly worker?: WorkerRef
  readonly severity?: readonly Event['severity'][]
  /** Only those after the one with this id. */
  readonly since_id?: number
}

/** Which part of a list; `cursor`: `next_cursor` of the page before. */
export interface PageQuery {
  readonly cursor?: string
  readonly limit?: number
}

/** Which jobs. Those of another owner, a key's id, take the scope `admin`. */
export interface JobsQuery extends PageQuery {
  readonly owner?: string
}

/** Events that the caller does not have are no longer kept. */
export interface EventsLost {
  readonly since_id: number
  /** The oldest event that is still kept; null when none is. */
  readonly oldest_id: number | null
}

/** What comes from a stream of events. */
export type StreamedEvent =
  | { readonly type: 'event'; readonly event: Event }
  | { readonly type: 'lost'; readonly lost: EventsLost }

/** What is another than in the message before. */
export type LiveChange = Pick<Live, 'at' | 'pool' | 'series' | 'requests' | 'requests_total'> & {
  /** All of them, when some have changed. */
  readonly problems?: Live['problems']
  /** Those that have changed, each of them whole. */
  readonly workers: Live['workers']
  /** Ids of workers that are gone. */
  readonly removed: readonly string[]
}

/** What comes from a stream of the service as it goes: all of it first, then what changes, and each event as it happens. */
export type LiveMessage =
  | { readonly type: 'live'; readonly live: Live }
  | { readonly type: 'change'; readonly change: LiveChange }
  | StreamedEvent

/** A target's answer as `fetch/raw` gives it. */
export interface RawAnswer {
  /** The target's. */
  readonly status: number
  /** Names in lower case: the receipt in `cbtor-*`, headers of the target that stand for nothing here in `cbtor-target-*`. */
  readonly headers: Readonly<Record<string, string | readonly string[] | undefined>>
  /** As the target sent it, still coded. Errs when it is not whole. It must be read or destroyed. */
  readonly body: ByteStream
  /** The rest of the receipt; empty until `body` has ended. */
  readonly trailers: Readonly<Record<string, string>>
}

/** Each method rejects with `ApiProblem`, `ApiUnreachable`, or the signal's reason. */
export interface ApiClient {
  /** Fetches a URL through Tor. Resolves with the target's answer, whatever its status. */
  fetch(request: FetchInput, signal?: AbortSignal): Promise<FetchAnswer>
  /** Resolves with the head of the answer; the body comes as it is read, and the signal ends it. */
  fetchRaw(request: FetchRawInput, signal?: AbortSignal): Promise<RawAnswer>
  /** Whether the service is alive, which says nothing of its workers. Takes no key. */
  liveness(signal?: AbortSignal): Promise<Operations['getLiveness']['answer']>
  /** How the workers are, and what is wrong at present. */
  health(signal?: AbortSignal): Promise<Health>
  /** How the pool chooses a worker. */
  mode(signal?: AbortSignal): Promise<ModeAnswer>
  /** Resolves once the mode holds and would outlast a restart. */
  setMode(mode: ModeInput['mode'], signal?: AbortSignal): Promise<ModeAnswer>
  /** Has the service read its file anew. Resolves with what it applied; workers that go may still finish their requests. */
  reloadConfig(signal?: AbortSignal): Promise<ReloadedConfig>
  /** Statistics of the check endpoints. */
  endpoints(signal?: AbortSignal): Promise<Endpoints>
  /** The gateways that share the pool, and whether their store answers. */
  replicas(signal?: AbortSignal): Promise<Replicas>
  /** All of them, in the order of the configuration. */
  workers(signal?: AbortSignal): Promise<Workers>
  /** One worker, with what only its Tor knows. */
  worker(ref: WorkerRef, signal?: AbortSignal): Promise<InspectedWorker>
  /** Resolves once its Tor is up and bootstrapped. The order stands when the signal aborts. */
  startTor(ref: WorkerRef, signal?: AbortSignal): Promise<Worker>
  /** Resolves once its Tor is gone. It stays stopped until it is started. */
  stopTor(ref: WorkerRef, signal?: AbortSignal): Promise<Worker>
  /** Stops its Tor and starts it. */
  restartTor(ref: WorkerRef, signal?: AbortSignal): Promise<Worker>
  /** Reboots the box of a worker that has one; resolves once it is back. */
  rebootBox(ref: WorkerRef, signal?: AbortSignal): Promise<Worker>
  /** Summary of the cluster. */
  status(signal?: AbortSignal): Promise<Status>
  /** Takes a worker out of the pool; its running requests finish. `force`: also the last one that receives traffic. */
  drain(ref: WorkerRef, options?: { readonly force?: boolean }, signal?: AbortSignal): Promise<Worker>
  /** Puts a worker back into the pool. */
  enable(ref: WorkerRef, signal?: AbortSignal): Promise<Worker>
  /** With `acts_at` instead of exits when Tor acts later than `wait_ms`. */
  newCircuits(
    ref: WorkerRef,
    options?: { readonly wait_ms?: number },
    signal?: AbortSignal,
  ): Promise<NewCircuits | NewCircuitsPending>
  /** With the same `idempotencyKey`, the same order within 24 hours is the same job. */
  submitJob(order: JobOrderInput, options?: { readonly idempotencyKey?: string }, signal?: AbortSignal): Promise<Job>
  /** One page of the jobs, the newest first. */
  jobs(query?: JobsQuery, signal?: AbortSignal): Promise<Jobs>
  /** All of them, page by page. */
  allJobs(query?: Omit<JobsQuery, 'cursor'>, signal?: AbortSignal): AsyncGenerator<Job, void>
  /** How far a job is. */
  job(id: string, signal?: AbortSignal): Promise<Job>
  /** One page of the results of a job, in the order of its fetches. */
  jobResults(id: string, query?: PageQuery, signal?: AbortSignal): Promise<JobResults>
  /** All of them, page by page. */
  allJobResults(id: string, query?: Omit<PageQuery, 'cursor'>, signal?: AbortSignal): AsyncGenerator<JobResult, void>
  /** One result, with its whole body. `n`: from 0. */
  jobResult(id: string, n: number, signal?: AbortSignal): Promise<JobResult>
  /** Ends a job; what has been answered stays. */
  cancelJob(id: string, signal?: AbortSignal): Promise<Job>
  /** Ends a job and forgets it, with all results. */
  removeJob(id: string, signal?: AbortSignal): Promise<Job>
  /** Sticky keys that are in use. */
  sessions(signal?: AbortSignal): Promise<Sessions>
  /** One of them. */
  session(key: string, signal?: AbortSignal): Promise<Session>
  /** Gives the session a new identity: other circuits from the next request on. */
  rotateSession(key: string, signal?: AbortSignal): Promise<Session>
  /** Forgets the session and drops its connections; running requests finish. */
  endSession(key: string, signal?: AbortSignal): Promise<Session>
  /** What happened of late, the newest last. */
  events(query?: EventsQuery & { readonly limit?: number }, signal?: AbortSignal): Promise<Events>
  /** Events as they happen, until the service closes the stream. Go on with the last event's id as `since_id`. */
  watchEvents(query?: EventsQuery, signal?: AbortSignal): AsyncGenerator<StreamedEvent, void>
  /** All that a page shows, at one look. */
  live(signal?: AbortSignal): Promise<Live>
  /** The same as it changes, until the service closes the stream. Go on with the last event's id as `since_id`. */
  watchLive(query?: Pick<EventsQuery, 'since_id'>, signal?: AbortSignal): AsyncGenerator<LiveMessage, void>
  /** The requests to targets that are under way. `targets` takes the scope `admin`: where they go. */
  requests(query?: { readonly targets?: boolean }, signal?: AbortSignal): Promise<Requests>
  /** Who the key is, and what it may. */
  whoami(signal?: AbortSignal): Promise<Whoami>
  /** All keys that are good, without their secrets. */
  keys(signal?: AbortSignal): Promise<Keys>
  /** With the key itself, which nobody can tell a second time. */
  createKey(order: NewKeyInput, signal?: AbortSignal): Promise<CreatedKey>
  /** Ends a key at once, with what goes on in its name. */
  revokeKey(id: string, signal?: AbortSignal): Promise<Key>
  /** In Prometheus' text format. */
  metrics(signal?: AbortSignal): Promise<string>
  /** What a code of a problem means. Takes no key. */
  problemType(code: string, signal?: AbortSignal): Promise<ProblemType>
}

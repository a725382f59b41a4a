import { finished, Readable } from 'node:stream'
import { ANYBODY } from '../domain/caller.ts'
import { CbtorError } from '../domain/errors.ts'
import {
  type CircuitsRenewed,
  circuitsRenewed,
  type RecordedEvent,
  type ServiceEvent,
  type ServiceProblem,
  severityOf,
} from '../domain/events.ts'
import type { FetchAnswer, FetchRequest, Mode, StreamedAnswer } from '../domain/exchange.ts'
import type { Reloaded } from '../domain/reload.ts'
import type { RequestUnderWay } from '../domain/request-watch.ts'
import { History } from '../lib/history.ts'
import type { Backend } from './backend.ts'
import { FakeJobs } from './fake-jobs.ts'
import type {
  EndpointView,
  InspectionView,
  LiveRequestsView,
  LiveView,
  NewCircuitsOrder,
  ReplicasView,
  ServiceView,
  SessionName,
  SessionView,
  WorkerView,
} from './views.ts'

/** Four workers and a session in memory, and answers to replace. Obeys orders, and writes down what it was told. */
export class FakeBackend implements Backend {
  readonly calls: string[] = []
  readonly requests: FetchRequest[] = []
  readonly jobs = new FakeJobs()
  answer: (request: FetchRequest, signal: AbortSignal) => Promise<FetchAnswer> = async (request) => fakeAnswer(request)
  streamed: (request: FetchRequest, signal: AbortSignal) => Promise<StreamedAnswer> = async (request) =>
    fakeStream(request, ['{"IsTor":', 'true}'])
  inspection: (id: string, signal: AbortSignal) => Promise<InspectionView> = async () => fakeInspection
  renewal: () => NewCircuitsOrder = () => ({ actsAt: 0, acted: Promise.resolve(fakeRenewal) })
  openProblems: readonly ServiceProblem[] = []
  underWay: readonly RequestUnderWay[] = []
  readonly events = new History<RecordedEvent>({
    capacity: 5,
    onListenerError: (error) => {
      throw error
    },
  })
  #sessions = new Map([[textOf(MINE), fakeSession(MINE)]])
  #mode: Mode = 'round_robin'
  #workers: WorkerView[] = [1, 2, 3, 4].map(fakeWorker)

  service(): ServiceView {
    return { version: '1.2.3', startedAt: 0 }
  }

  workers(): readonly WorkerView[] {
    return this.#workers
  }

  endpoints(): readonly EndpointView[] {
    const seen = { attempts: 3, successes: 2, failures: 1, lastError: 'no answer', lastSuccessAt: 1_000 }
    const never = { attempts: 0, successes: 0, failures: 0, lastError: undefined, lastSuccessAt: undefined }
    return [
      {
        name: 'check',
        url: 'https://check.example/api/ip',
        kind: 'clearnet',
        ...seen,
        p50Ms: 10,
        p95Ms: 20,
        workers: [{ worker: 'tor01', ...never, p50Ms: undefined, p95Ms: undefined }],
        series: [{ at: 0, checks: 3, failures: 1, meanMs: 15 }],
      },
    ]
  }

  replicas(): ReplicasView {
    return {
      store: { kind: 'shared', isUp: false, downSince: 2_000, pending: 3 },
      replicas: [
        { name: 'gw1', version: '1.2.3', startedAt: 0, isSelf: true, heals: 3 },
        { name: 'gw2', version: '1.2.4', startedAt: 1_000, isSelf: false, heals: 1 },
      ],
    }
  }

  problems(): readonly ServiceProblem[] {
    return this.openProblems
  }

  live(): LiveView {
    const figures = { requestsPerS: 2, readBytesPerS: 1_000, writtenBytesPerS: 100 }
    return {
      at: 1_000_000,
      service: this.service(),
      pool: {
        ...{ ...figures, successRatio: 0.98765, p50Ms: 812.345, p95Ms: undefined },
        ...{ leases: 10, waiting: 1, tunnels: 2 },
      },
      series: [{ at: 990_000, requests: 3, failures: 1, p50Ms: 800, p95Ms: 900 }],
      problems: this.openProblems,
      workers: this.#workers.map((worker) => ({
        ...{ worker, ...figures, history: [{ state: worker.state, since: worker.since }] },
      })),
      requests: this.requestsUnderWay(),
    }
  }

  requestsUnderWay(): LiveRequestsView {
    return { requests: this.underWay, total: this.underWay.length }
  }

  async metrics() {
    return { contentType: 'text/plain; version=0.0.4; charset=utf-8', text: 'cbtor_requests_total 1\n' }
  }

  /** Lets an event happen at second `n` of 1970, where `n` is its id. */
  happen(event: ServiceEvent): RecordedEvent {
    return this.events.add((id) => ({ id, at: id * 1_000, severity: severityOf(event), text: 'It happened', event }))
  }

  async fetch(request: FetchRequest, signal: AbortSignal): Promise<FetchAnswer> {
    this.calls.push('fetch')
    this.requests.push(request)
    return await this.answer(request, signal)
  }

  async stream(request: FetchRequest, signal: AbortSignal): Promise<StreamedAnswer> {
    this.calls.push('stream')
    this.requests.push(request)
    return await this.streamed(request, signal)
  }

  async reloadConfig(): Promise<Reloaded> {
    this.calls.push('reloadConfig')
    const workers = { added: ['tor05'], removed: [], changed: [] }
    return { applied: [{ field: 'log', from: 'info', to: 'debug' }], workers, needsRestart: [], notes: [] }
  }

  mode(): Mode {
    return this.#mode
  }

  async setMode(mode: Mode): Promise<void> {
    this.calls.push(`setMode ${mode}`)
    this.#mode = mode
  }

  async startTor(id: string): Promise<void> {
    this.#obey('startTor', id, { desired: 'enabled' })
  }

  async stopTor(id: string): Promise<void> {
    this.#obey('stopTor', id, { desired: 'stopped', receivesTraffic: false })
  }

  async restartTor(id: string): Promise<void> {
    this.#obey('restartTor', id, { desired: 'enabled' })
  }

  async rebootHost(id: string): Promise<void> {
    this.#obey('rebootHost', id, {})
  }

  async drain(id: string, { force }: { readonly force: boolean }): Promise<void> {
    this.#obey(force ? 'drain --force' : 'drain', id, { desired: 'drained', receivesTraffic: false })
  }

  async enable(id: string): Promise<void> {
    this.#obey('enable', id, { desired: 'enabled', receivesTraffic: true })
  }

  async inspect(id: string, signal: AbortSignal): Promise<InspectionView> {
    return await this.inspection(id, signal)
  }

  newCircuits(id: string): NewCircuitsOrder {
    this.calls.push(`newCircuits ${id}`)
    return this.renewal()
  }

  sessions({ owner, limit }: Parameters<Backend['sessions']>[0]): readonly SessionView[] {
    const all = [...this.#sessions.values()]
    return all.filter((session) => owner === undefined || session.owner === owner).slice(0, limit)
  }

  session(name: SessionName): SessionView | undefined {
    return this.#sessions.get(textOf(name))
  }

  async rotateSession(name: SessionName): Promise<SessionView> {
    this.calls.push(`rotateSession ${name.key}`)
    const rotated = { ...this.#sessionOf(name), exit: undefined }
    this.#sessions.set(textOf(name), rotated)
    return rotated
  }

  async endSession(name: SessionName): Promise<SessionView> {
    this.calls.push(`endSession ${name.key}`)
    const session = this.#sessionOf(name)
    this.#sessions.delete(textOf(name))
    return session
  }

  /** Takes a worker out of the pool, as a new configuration does. */
  removeWorker(id: string): void {
    this.#workers = this.#workers.filter((worker) => worker.id !== id)
  }

  /** Lets a session begin. */
  beginSession(name: SessionName): void {
    this.#sessions.set(textOf(name), fakeSession(name))
  }

  #sessionOf(name: SessionName): SessionView {
    const session = this.#sessions.get(textOf(name))
    if (session === undefined) throw new CbtorError('session_not_found', 'Cannot find the session')
    return session
  }

  #obey(order: string, id: string, change: Partial<WorkerView>): void {
    this.calls.push(`${order} ${id}`)
    this.#workers = this.#workers.map((worker) => (worker.id === id ? { ...worker, ...change } : worker))
  }
}

export function fakeWorker(n: number): WorkerView {
  return {
    id: `tor0${n}`,
    n,
    kind: 'fake',
    desired: 'enabled',
    state: 'healthy',
    since: 0,
    consecutiveFailures: 0,
    receivesTraffic: true,
    process: { state: 'running', pid: 1_000 + n, startedAt: 0 },
    bootstrap: { progress: 100, tag: 'done', summary: 'Done' },
    torVersion: '0.4.9.11',
    leases: n,
    problem: undefined,
    lastCheck: { at: 0, ok: true, latencyMs: 12.5, error: undefined },
    lastRecovery: { at: 0, ok: false, steps: [{ name: 'restart-tor', ok: false, ms: 1.234, error: 'no answer' }] },
    nextAction: { type: 'probe', at: 1_000, reason: undefined },
    requests: 10,
    failures: 1,
  }
}

const exit = { nickname: 'exit1', fingerprint: 'A'.repeat(40), address: '203.0.113.7', country: 'de' }
const guard = { nickname: undefined, fingerprint: 'B'.repeat(40) }

export const fakeInspection: InspectionView = {
  circuits: [
    { id: '7', status: 'BUILT', purpose: 'GENERAL', path: [guard, exit], createdAt: 0 },
    { id: '8', status: 'LAUNCHED', purpose: undefined, path: [], createdAt: undefined },
  ],
  guards: [{ ...guard, status: 'up' }],
  traffic: { readBytes: 10, writtenBytes: 20 },
  consensus: { validAfter: 0, validUntil: 10_000 },
  clockSkew: { seconds: -3 },
  host: {
    ssh: 'connected',
    tunnel: { handshakeAgeMs: 12_345, problems: [] },
    node: { state: 'HEALTHY', reason: undefined, ageMs: 30_000 },
  },
}

export const fakeRenewal: CircuitsRenewed = circuitsRenewed([exit], [{ ...exit, fingerprint: 'C'.repeat(40) }], 12.345)

const MINE: SessionName = { owner: ANYBODY.id, key: 'my-session-123' }

const textOf = ({ owner, key }: SessionName) => `${owner} ${key}`

export function fakeSession(name: SessionName): SessionView {
  const times = { createdAt: 0, lastUsedAt: 1_000, expiresAt: 3_601_000 }
  return { ...name, worker: 'tor01', exit, requests: 2, moved: 1, ...times }
}

export function fakeAnswer(request: FetchRequest, change: Partial<FetchAnswer> = {}): FetchAnswer {
  return {
    url: request.url,
    status: 200,
    statusText: 'OK',
    headers: [['content-type', 'application/json']],
    body: Buffer.from('{"IsTor":true}'),
    redirects: [],
    identity: request.stickyKey === undefined ? request.isolation : 'sticky',
    worker: request.workerId ?? 'tor01',
    route: 'socks',
    exit,
    connectionReused: false,
    attempts: [{ worker: request.workerId ?? 'tor01', outcome: 'ok', ms: 5 }],
    timing: { queueMs: 0.126, connectMs: 1, tlsMs: 2, firstByteMs: 3, bodyMs: 4, totalMs: 10 },
    bytes: { received: 700, sent: 300, decoded: 14 },
    truncated: false,
    ...change,
  }
}

/** As a fetcher's: it ends with its body. A body that errs is one that failed with that error. */
export function fakeStream(
  request: FetchRequest,
  body: Iterable<string | Uint8Array> | Readable,
  change: Partial<StreamedAnswer> = {},
): StreamedAnswer {
  const { body: _, ...head } = fakeAnswer(request)
  const passing = body instanceof Readable ? body : Readable.from(body, { objectMode: false })
  const ended = Promise.withResolvers<Awaited<StreamedAnswer['ended']>>()
  const answer = { ...head, body: passing, bodyLength: undefined, ended: ended.promise, ...change }
  finished(
    passing.on('error', () => {}),
    (error) => {
      const failure = error ? new CbtorError('connection_lost', error.message) : undefined
      ended.resolve({ receipt: answer, failure })
    },
  )
  return answer
}

import type { FetchAnswer, FetchRequest, Mode } from '../domain/exchange.ts'
import type { Backend } from './backend.ts'
import type { EndpointView, ServiceView, WorkerView } from './views.ts'

/** Four workers in memory, and an `answer` to replace. Obeys orders, and writes down what it was told. */
export class FakeBackend implements Backend {
  readonly calls: string[] = []
  readonly requests: FetchRequest[] = []
  answer: (request: FetchRequest, signal: AbortSignal) => Promise<FetchAnswer> = async (request) => fakeAnswer(request)
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
      },
    ]
  }

  async fetch(request: FetchRequest, signal: AbortSignal): Promise<FetchAnswer> {
    this.calls.push('fetch')
    this.requests.push(request)
    return await this.answer(request, signal)
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

  async drain(id: string, { force }: { readonly force: boolean }): Promise<void> {
    this.#obey(force ? 'drain --force' : 'drain', id, { desired: 'drained', receivesTraffic: false })
  }

  async enable(id: string): Promise<void> {
    this.#obey('enable', id, { desired: 'enabled', receivesTraffic: true })
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
    requests: 10,
    failures: 1,
  }
}

export function fakeAnswer(request: FetchRequest, change: Partial<FetchAnswer> = {}): FetchAnswer {
  return {
    url: request.url,
    status: 200,
    statusText: 'OK',
    headers: [['content-type', 'application/json']],
    body: Buffer.from('{"IsTor":true}'),
    redirects: [],
    worker: request.workerId ?? 'tor01',
    route: 'socks',
    exit: { nickname: 'exit1', fingerprint: 'A'.repeat(40), address: '203.0.113.7' },
    connectionReused: false,
    attempts: [{ worker: request.workerId ?? 'tor01', outcome: 'ok', ms: 5 }],
    timing: { queueMs: 0.126, connectMs: 1, tlsMs: 2, firstByteMs: 3, bodyMs: 4, totalMs: 10 },
    ...change,
  }
}

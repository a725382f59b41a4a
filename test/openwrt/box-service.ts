/** The whole service on four boxes, as an operator has it, with a light load whose every answer is kept. */
import { type ApiClient, ApiProblem, createApiClient } from '../../src/client/client.ts'
import { parseConfig } from '../../src/config/read-config.ts'
import { createService, type Service } from '../../src/service.ts'
import { type BoxLab, createBoxLab } from './box-lab.ts'

const never = new AbortController().signal

export interface RunningService extends AsyncDisposable {
  readonly service: Service
  readonly api: ApiClient
}

export interface BoxService extends BoxLab, RunningService {}

export interface BoxServiceOptions {
  readonly clearnet?: 'transparent' | 'socks'
  /** Sections of the configuration. */
  readonly health?: Readonly<Record<string, unknown>>
  /** A generous budget unless told, as no relay of the lab is anybody's. */
  readonly circuits?: Readonly<Record<string, unknown>>
}

/** The service on all boxes of the lab; resolves when every worker is healthy. */
export async function startBoxService(
  { network, rack, state }: BoxLab,
  options: BoxServiceOptions = {},
): Promise<RunningService> {
  const { clearnet = 'transparent', health = {}, circuits = { rate: 1_000, burst: 1_000 } } = options
  const { urls, caFile } = network
  const config = parseConfig(
    {
      listen: '127.0.0.1:0',
      state,
      auth: 'off',
      log: process.env.BOX_LOG ?? 'silent',
      proxy: { http: '127.0.0.1:0', socks: '127.0.0.1:0' },
      workers: rack.boxes.map(({ n }) => ({ kind: 'openwrt', id: `tor0${n}`, clearnet })),
      circuits,
      ...{ limits: { rate: 'off', concurrent: 'off' }, politeness: 'off' },
      targets: { allow_reserved: ['203.0.113.0/24', '198.51.100.0/24'], ca_file: caFile },
      checks: { clearnet: [`${urls.check}/api/ip`], onion: [`${urls.onion}/`] },
      health,
    },
    {},
  )
  await using parts = new AsyncDisposableStack()
  const service = parts.use(await createService(config, {}, never))
  await service.ready(AbortSignal.timeout(90_000))
  const owned = parts.move()
  return {
    service,
    api: createApiClient({ baseUrl: service.url }),
    [Symbol.asyncDispose]: () => owned.disposeAsync(),
  }
}

/** A lab of boxes with the service on it. */
export async function createBoxService(
  options: { readonly clearnet?: 'transparent' | 'socks'; readonly boxes?: number } = {},
): Promise<BoxService> {
  const { boxes = 4, ...others } = options
  await using parts = new AsyncDisposableStack()
  const lab = parts.use(await createBoxLab({ boxes }))
  const running = parts.use(await startBoxService(lab, others))
  const owned = parts.move()
  return { ...lab, ...running, [Symbol.asyncDispose]: () => owned.disposeAsync() }
}

export interface Answered {
  readonly at: number
  readonly ms: number
  readonly worker: string | undefined
  readonly route: string | undefined
  readonly attempts: number
  /** The problem that it was answered with, if it failed. */
  readonly failure: string | undefined
}

/** Requests at a steady pace, whatever becomes of them. */
export class Load implements AsyncDisposable {
  readonly answers: Answered[] = []
  readonly #api: ApiClient
  readonly #urls: readonly string[]
  readonly #timer: NodeJS.Timeout
  readonly #pending = new Set<Promise<void>>()
  #sent = 0

  constructor(api: ApiClient, urls: readonly string[], perSecond: number) {
    this.#api = api
    this.#urls = urls
    this.#timer = setInterval(() => this.#send(), 1_000 / perSecond)
  }

  get failures(): readonly Answered[] {
    return this.answers.filter(({ failure }) => failure !== undefined)
  }

  async [Symbol.asyncDispose](): Promise<void> {
    clearInterval(this.#timer)
    await Promise.all(this.#pending)
  }

  #send(): void {
    const url = this.#urls[this.#sent++ % this.#urls.length] ?? ''
    const done = this.#fetch(url).finally(() => this.#pending.delete(done))
    this.#pending.add(done)
  }

  async #fetch(url: string): Promise<void> {
    const at = performance.now()
    try {
      // New identities: an idle connection would show nothing of the way.
      const answer = await this.#api.fetch({ url, isolation: 'request' })
      const { worker, route, attempts } = answer.receipt
      this.#keep(at, { worker, route, attempts: attempts.length, failure: undefined })
    } catch (error) {
      const problem = error instanceof ApiProblem ? error.problem : undefined
      const failure = problem ? `${problem.code}: ${problem.detail}` : String(error)
      this.#keep(at, { worker: undefined, route: undefined, attempts: problem?.attempts?.length ?? 0, failure })
    }
  }

  #keep(at: number, answer: Omit<Answered, 'at' | 'ms'>): void {
    this.answers.push({ at, ms: performance.now() - at, ...answer })
  }
}

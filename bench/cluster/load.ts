import { once } from 'node:events'
import { Agent, type IncomingMessage, request } from 'node:http'
import { setTimeout as sleep } from 'node:timers/promises'

/** What became of one fetch. Instants are epoch milliseconds. */
export interface Fetched {
  readonly method: 'GET' | 'POST'
  readonly beganAt: number
  readonly endedAt: number
  /** Undefined of an answer of the target, the right one. */
  readonly failure: string | undefined
  /** Whether a replica said so; else haproxy did, or nobody. */
  readonly isTold: boolean
}

export interface LoadOptions {
  readonly url: string
  readonly perSecond: number
  /** Of them are POST, which nobody may send twice. */
  readonly postShare: number
}

const SITES = 50
const STICKY_SHARE = 0.3
const LIMIT_MS = 60_000

/** Asks for fetches at an even pace, however long answers take, until it is stopped. Each has a name of its own. */
export class Load {
  readonly #options: LoadOptions
  readonly #agent = new Agent({ keepAlive: true, maxSockets: Number.POSITIVE_INFINITY })
  readonly #fetches: Promise<Fetched>[] = []
  readonly #end = new AbortController()
  readonly #over: Promise<void>

  constructor(options: LoadOptions) {
    this.#options = options
    this.#over = this.#run()
  }

  /** Asks for nothing more, and resolves with all that it has asked for, once it has ended. */
  async stop(): Promise<readonly Fetched[]> {
    this.#end.abort()
    await this.#over
    const all = await Promise.all(this.#fetches)
    this.#agent.destroy()
    return all
  }

  async #run(): Promise<void> {
    const { perSecond, postShare } = this.#options
    const startedAt = performance.now()
    while (!this.#end.signal.aborted) {
      const due = ((performance.now() - startedAt) / 1_000) * perSecond
      while (this.#fetches.length < due) {
        const n = this.#fetches.length
        this.#fetches.push(this.#fetch(n, Math.floor(n * postShare) < Math.floor((n + 1) * postShare)))
      }
      await sleep(5)
    }
  }

  async #fetch(n: number, isPost: boolean): Promise<Fetched> {
    const method = isPost ? 'POST' : 'GET'
    const path = `/${process.pid}-${n}`
    const body = JSON.stringify({
      url: `http://site${n % SITES}.cbtor.test${path}`,
      ...(isPost && { method, body: 'to be done once' }),
      ...((n * 7) % 10 < STICKY_SHARE * 10 && { sticky_key: `visitor-${n % 20}` }),
    })
    const beganAt = Date.now()
    const ended = (failure: string | undefined, isTold: boolean): Fetched => ({
      ...{ method, beganAt, endedAt: Date.now(), failure, isTold },
    })
    try {
      const asking = request(`${this.#options.url}/api/v1/fetch`, {
        ...{ method: 'POST', agent: this.#agent, signal: AbortSignal.timeout(LIMIT_MS) },
        headers: { 'content-type': 'application/json', 'content-length': Buffer.byteLength(body) },
      })
      asking.end(body)
      const [response] = (await once(asking, 'response')) as [IncomingMessage]
      let text = ''
      for await (const chunk of response.setEncoding('utf8')) text += chunk
      const isTold = /json/.test(`${response.headers['content-type']}`)
      if (response.statusCode !== 200) return ended(codeOf(response.statusCode, text, isTold), isTold)
      return ended(text.includes(`you are at ${path}`) ? undefined : 'another answer', isTold)
    } catch (error) {
      return ended(error instanceof Error ? error.message : String(error), false)
    }
  }
}

function codeOf(status: number | undefined, text: string, isTold: boolean): string {
  return isTold ? `${(JSON.parse(text) as { code?: string }).code}` : `status ${status}`
}

export function count(names: readonly string[]): string {
  const counts = [...Map.groupBy(names, (name) => name)].map(([name, all]) => `${all.length} × ${name}`)
  return counts.join(', ') || 'none'
}

/** Whether a replica says that the worker ended under a request, which it may not send by another one. */
export function isWorkersEnd(failure: string | undefined): boolean {
  return failure === 'worker_unreachable' || failure === 'connection_lost'
}

export function partition<T>(all: readonly T[], isFirst: (each: T) => boolean): readonly [T[], T[]] {
  return [all.filter(isFirst), all.filter((each) => !isFirst(each))]
}

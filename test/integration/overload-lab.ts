/** A service in a process of its own, and clients with keys that load it: for the tests of overload, and for measuring it. */
import { fork } from 'node:child_process'
import { once } from 'node:events'
import { mkdtempSync, rmSync } from 'node:fs'
import { Agent, request } from 'node:http'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { setTimeout as sleep } from 'node:timers/promises'
import { createApiClient } from '../../src/client/client.ts'

export interface OverloadLab extends AsyncDisposable {
  /** A key of its own, that may fetch, with these limits. */
  client(name: string, limits?: Readonly<Record<string, number>>): Promise<LoadClient>
  metrics(): Promise<string>
}

/** `slowMs`: how long the site takes for an answer, on average. */
export async function startOverloadLab(
  slowMs: number,
  config: Readonly<Record<string, unknown>>,
): Promise<OverloadLab> {
  await using parts = new AsyncDisposableStack()
  const state = mkdtempSync(join(tmpdir(), 'cbtor-overload-'))
  parts.defer(() => rmSync(state, { recursive: true, force: true }))
  const document = {
    ...{ state, listen: '127.0.0.1:0', log: 'silent', proxy: { http: 'off', socks: 'off' } },
    workers: [{ kind: 'local', id: 'tor01' }],
    ...config,
  }
  const child = fork(new URL('overload-service.ts', import.meta.url), [JSON.stringify({ config: document, slowMs })])
  parts.defer(async () => {
    if (child.exitCode !== null || !child.kill()) return
    await once(child, 'exit')
  })
  const [{ url, key }] = (await once(child, 'message', { signal: AbortSignal.timeout(30_000) })) as [
    { url: string; key: string },
  ]
  const api = createApiClient({ baseUrl: url, key })
  const owned = parts.move()
  return {
    async client(name, limits) {
      const made = await api.createKey({ name, scopes: ['fetch'], ...(limits && { limits }) })
      return new LoadClient(url, made.key)
    },
    async metrics() {
      const response = await fetch(`${url}/metrics`, { headers: { authorization: `Bearer ${key}` } })
      return await response.text()
    },
    [Symbol.asyncDispose]: () => owned.disposeAsync(),
  }
}

/** What became of one request. */
export interface Answer {
  readonly status: number
  readonly code: string
  readonly retryAfter: string | undefined
  /** How long it waited for its turn, of an answer of the target. */
  readonly queueMs: number
  readonly ms: number
}

export class LoadClient {
  readonly #url: string
  readonly #key: string
  readonly #agent = new Agent({ keepAlive: true, maxSockets: Number.POSITIVE_INFINITY, timeout: 2_000 })

  constructor(url: string, key: string) {
    this.#url = url
    this.#key = key
  }

  /** Asks `perSecond` times a second for `ms`, however long answers take; resolves with all of them. */
  async load(perSecond: number, ms: number, fields: Readonly<Record<string, unknown>>): Promise<readonly Answer[]> {
    const answers: Promise<Answer>[] = []
    const startedAt = performance.now()
    for (let passed = 0; passed < ms; passed = performance.now() - startedAt) {
      const due = Math.floor((passed / 1_000) * perSecond) + 1
      while (answers.length < due) answers.push(this.fetch(fields))
      await sleep(Math.max(1, 1_000 / perSecond / 4))
    }
    const all = await Promise.all(answers)
    this.#agent.destroy()
    return all
  }

  async fetch(fields: Readonly<Record<string, unknown>>): Promise<Answer> {
    const startedAt = performance.now()
    const asking = request(`${this.#url}/api/v1/fetch`, {
      ...{ method: 'POST', agent: this.#agent },
      headers: { authorization: `Bearer ${this.#key}`, 'content-type': 'application/json' },
    })
    asking.end(JSON.stringify(fields))
    const [response] = await once(asking, 'response')
    let text = ''
    for await (const chunk of response.setEncoding('utf8')) text += chunk
    const body = JSON.parse(text) as { code?: string; status: number; receipt?: { timing: { queue_ms: number } } }
    const status = response.statusCode
    const code = status === 200 ? `target ${body.status}` : (body.code ?? '')
    return {
      ...{ status, code, retryAfter: response.headers['retry-after'], ms: performance.now() - startedAt },
      queueMs: body.receipt?.timing.queue_ms ?? Number.NaN,
    }
  }
}

export function share(answers: readonly Answer[], isSo: (answer: Answer) => boolean): number {
  return answers.filter(isSo).length / answers.length
}

export const isServed = ({ status }: Answer) => status === 200
export const isRefused = ({ status }: Answer) => status === 429 || status === 503

/** The q-th part of them took no longer. Milliseconds. */
export function quantile(answers: readonly Answer[], q: number, of: 'ms' | 'queueMs' = 'ms'): number {
  const sorted = answers.map((answer) => answer[of]).sort((a, b) => a - b)
  return sorted[Math.min(sorted.length - 1, Math.floor(sorted.length * q))] ?? Number.NaN
}

export function codesOf(answers: readonly Answer[]): Record<string, number> {
  const counts: Record<string, number> = {}
  for (const { code } of answers) counts[code] = (counts[code] ?? 0) + 1
  return counts
}

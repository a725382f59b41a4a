import { setTimeout as sleep } from 'node:timers/promises'
import { type ApiClient, createApiClient } from '../../src/client/client.ts'
import type { Lab } from './lab.ts'
import { finding, none, type Outcome } from './outcome.ts'

export interface JobOptions {
  readonly jobs: number
  readonly kills: number
  readonly downMs: number
  /** Of them are POST. */
  readonly postShare: number
  readonly say: (what: string) => void
}

interface Ordered {
  readonly id: string
  readonly path: string
  readonly method: 'GET' | 'POST'
}

const AT_A_TIME = 24
/** For all jobs to end once all are ordered. */
const LIMIT_MS = 15 * 60_000
const TRIES = 20

/** Orders jobs of one fetch each, and kills replicas while they are carried out. */
export async function jobs(lab: Lab, options: JobOptions): Promise<Outcome> {
  const { postShare, kills, downMs, say } = options
  const api = createApiClient({ baseUrl: lab.url })
  const startedAt = Date.now()
  const ended = new Set<string>()
  const isPost = (n: number) => Math.floor(n * postShare) < Math.floor((n + 1) * postShare)

  let isOver = false
  const killing = (async () => {
    for (let n = 0; n < kills; n++) {
      const after = ((n + 1) / (kills + 1)) * options.jobs
      while (!isOver && (await visited(lab)) < after) await sleep(200)
      if (isOver) return
      const replica = lab.replicas[n % lab.replicas.length]
      await replica?.kill()
      say(`killed ${replica?.name} after ${await visited(lab)} fetches`)
      await sleep(downMs)
      await replica?.start()
    }
  })()
  await using _killed = {
    async [Symbol.asyncDispose]() {
      isOver = true
      await killing
    },
  }
  const ordered = await inTurns(
    Array.from({ length: options.jobs }, (_, n) => n),
    async (n): Promise<Ordered> => {
      const path = `/job-${process.pid}-${startedAt}-${n}`
      const method = isPost(n) ? 'POST' : 'GET'
      const order = { fetches: [{ url: `http://site${n % 50}.cbtor.test${path}`, method }] }
      const { id } = await persistently(() => api.submitJob(order, { idempotencyKey: path.slice(1) }))
      return { id, path, method }
    },
  )
  const orderedAt = Date.now()
  say(`ordered ${ordered.length} jobs in ${((orderedAt - startedAt) / 1_000).toFixed(0)} s`)
  while (ended.size < ordered.length && Date.now() < orderedAt + LIMIT_MS) {
    await inTurns(
      ordered.filter(({ id }) => !ended.has(id)),
      async ({ id }) => {
        if ((await persistently(() => api.job(id))).state !== 'running') ended.add(id)
      },
    )
    await sleep(500)
  }
  const endedAt = Date.now()

  const results = await inTurns(ordered, async (each) => ({
    ...each,
    results: (await persistently(() => api.jobResults(each.id))).results,
  }))
  const { visits } = await lab.report()
  const isRight = ({ path, results: [result] }: (typeof results)[number]) =>
    result?.state === 'done' && (result.answer?.body ?? '').includes(`you are at ${path}`)
  const one = results.filter(({ results: { length } }) => length === 1)
  const wrong = one.filter((each) => !isRight(each))
  const ids = new Set(ordered.map(({ id }) => id))
  return {
    findings: [
      finding('jobs that have one result', `${options.jobs}`, one.length, one.length === options.jobs),
      none('jobs that were made twice', options.jobs - ids.size + (await strangers(api, ids))),
      none('GET without the answer of its target', wrong.filter(({ method }) => method === 'GET').length),
      none('POST that came twice', visits.postsTwice.filter((name) => name.startsWith('/job-')).length),
    ],
    notes: [
      `${options.jobs} jobs in ${((endedAt - startedAt) / 1_000).toFixed(0)} s, ${kills} kills; of ${ordered.filter(({ method }) => method === 'POST').length} POST ${wrong.filter(({ method }) => method === 'POST').length} were interrupted, and not sent again`,
      `GET that came twice, which is no harm: ${visits.getsTwice}`,
    ],
  }
}

async function visited(lab: Lab): Promise<number> {
  const { visits } = await lab.report()
  return visits.gets + visits.posts
}

/** Jobs that nobody here has ordered. */
async function strangers(api: ApiClient, known: ReadonlySet<string>): Promise<number> {
  let count = 0
  for await (const { id } of api.allJobs({ limit: 100 })) if (!known.has(id)) count++
  return count
}

/** Asks again what can be asked again, as a client does whose gateway is gone; each with some time in between. */
async function persistently<T>(ask: () => Promise<T>): Promise<T> {
  for (let n = 1; ; n++) {
    try {
      return await ask()
    } catch (error) {
      if (n === TRIES) throw error
      await sleep(250)
    }
  }
}

async function inTurns<T, R>(all: readonly T[], act: (each: T) => Promise<R>): Promise<readonly R[]> {
  const results: R[] = []
  let next = 0
  const place = async () => {
    for (let n = next++; n < all.length; n = next++) results[n] = await act(all[n] as T)
  }
  await Promise.all(Array.from({ length: AT_A_TIME }, place))
  return results
}

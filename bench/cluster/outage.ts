import { setTimeout as sleep } from 'node:timers/promises'
import { createApiClient } from '../../src/client/client.ts'
import type { Lab } from './lab.ts'
import { count, isWorkersEnd, Load, partition } from './load.ts'
import { finding, none, type Outcome } from './outcome.ts'

export interface OutageOptions {
  readonly beforeMs: number
  readonly downMs: number
  readonly afterMs: number
  readonly perSecond: number
  readonly postShare: number
  readonly say: (what: string) => void
}

const AGREED_WITHIN_MS = 10_000
/** A lease ends within so long after the store has gone: what is ordered until then is right. */
const LEASES_END_MS = 6_500

/** Stops the store under load. Meanwhile an operator changes things on two replicas, and workers break. */
export async function outage(lab: Lab, options: OutageOptions): Promise<Outcome> {
  const { beforeMs, downMs, afterMs, perSecond, postShare, say } = options
  const apis = lab.replicas.map(({ url }) => createApiClient({ baseUrl: url }))
  const [first, second] = apis
  const drained = lab.workers.at(-1) ?? ''
  const load = new Load({ url: lab.url, perSecond, postShare })
  await sleep(beforeMs)

  const downAt = Date.now()
  await lab.store.stop()
  say('the store is stopped')
  // Until then who has a lease may heal: what breaks later waits for the store.
  await sleep(LEASES_END_MS + 1_000)
  const quietFrom = Date.now()
  await first?.setMode('random')
  await second?.drain(drained)
  for (const worker of lab.workers.slice(0, 3)) lab.tell({ type: 'break', worker, ailment: 'dead' })
  await sleep(Math.max(0, downAt + downMs - Date.now()))
  const backAt = Date.now()
  await lab.store.restart()
  say('the store is back')

  let agreedAt = Number.POSITIVE_INFINITY
  for (let now = backAt; agreedAt > now && now < backAt + AGREED_WITHIN_MS + 5_000; now = Date.now()) {
    const views = await Promise.all(
      apis.map(async (api) => ({
        mode: (await api.mode()).mode,
        desired: (await api.worker(drained)).desired,
      })),
    )
    if (views.every(({ mode, desired }) => mode === 'random' && desired === 'drained')) agreedAt = Date.now()
    await sleep(100)
  }
  // As soon as all that broke is well, or when that has had its time.
  for (let isIll = true; isIll && Date.now() < backAt + afterMs; await sleep(250))
    isIll = (await lab.report()).breaks.some(({ at, wellAt }) => at >= quietFrom && wellAt === undefined)
  const fetches = await load.stop()
  const { orders, breaks, visits } = await lab.report()
  const failed = fetches.filter(({ failure }) => failure !== undefined)
  // Of a POST whose worker ended under it a replica says that it may have been sent: that has nothing to do with the store.
  const [told, lost] = partition(failed, (each) => each.method === 'POST' && isWorkersEnd(each.failure))
  const broken = breaks.filter(({ at }) => at >= quietFrom)
  const healedMs = broken.map(({ wellAt = Number.POSITIVE_INFINITY }) => wellAt - backAt)
  return {
    findings: [
      none(`fetches that failed, of ${fetches.length}`, lost.length),
      none('POST that came twice', visits.postsTwice.length),
      none('recoveries while the store was away', orders.filter(({ at }) => at > quietFrom && at < backAt).length),
      none('recoveries by two replicas', orders.filter(({ isDouble }) => isDouble).length),
      finding(
        'from its return until all agree on what was changed meanwhile; s',
        '≤ 10',
        (agreedAt - backAt) / 1_000,
        agreedAt - backAt <= AGREED_WITHIN_MS,
      ),
      none('workers that broke meanwhile and were not healed', healedMs.filter((ms) => ms === Infinity).length),
    ],
    notes: [
      `${told.length} POST were on a worker that ended; else failed: ${count(lost.map(({ method, failure }) => `${method} ${failure}`))}`,
      `healed ${healedMs.map((ms) => (ms / 1_000).toFixed(1)).join(', ')} s after its return`,
    ],
  }
}

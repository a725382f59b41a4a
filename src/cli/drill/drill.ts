import type { ApiClient } from '../../client/client.ts'
import { deadline } from '../../lib/abort.ts'
import type { Clock } from '../../lib/clock.ts'
import { parseIsoTime } from '../../lib/iso-time.ts'
import type { FaultKind, Victim } from './faults.ts'
import { Load, type LoadRequest } from './load.ts'

export interface DrillOptions {
  readonly api: ApiClient
  readonly clock: Clock
  /** What the load fetches. */
  readonly url: string
  readonly perSecond: number
  readonly workers: readonly Victim[]
  /** In order; each on the next worker. */
  readonly faults: readonly FaultKind[]
  /** Traffic before the first fault and after each one. */
  readonly settleMs: number
  readonly onResult?: (result: FaultResult) => void
}

export interface FaultResult {
  readonly fault: FaultKind['name']
  readonly worker: string
  /** From the fault until the worker was out of rotation. */
  readonly noticedMs: number
  /** From the end of the fault, for one that recovery ends from its beginning, until the worker was healthy again. */
  readonly healedMs: number
  readonly requests: number
  readonly failures: readonly LoadRequest[]
  /** Requests that needed more than one worker. */
  readonly retried: number
  readonly slowestMs: number
  /** The least that was answered in a second while the fault was on, as a share of what was sent. */
  readonly lowestRate: number
}

const NOTICE_LIMIT_MS = 60_000
const HEAL_LIMIT_MS = 120_000
const POLL_MS = 20

/** Makes one fault after the other happen under load, and measures by the service's own events what each of them did. */
export async function drill(options: DrillOptions, signal: AbortSignal): Promise<readonly FaultResult[]> {
  const { api, clock, url, perSecond, workers, faults, settleMs, onResult } = options
  await using load = new Load(api, url, perSecond, clock)
  await clock.sleep(settleMs, signal)
  const results: FaultResult[] = []
  for (const [index, fault] of faults.entries()) {
    const worker = workers[index % workers.length]
    if (worker === undefined) throw new RangeError('Cannot drill: there is no worker')
    const result = await one(fault, worker)
    results.push(result)
    onResult?.(result)
  }
  return results

  async function one(fault: FaultKind, worker: Victim): Promise<FaultResult> {
    const { next_since_id: since } = await api.events({ limit: 1 }, signal)
    const faultAt = clock.now()
    await fault.inject(worker)
    const noticed = await healthChange(since, worker, fault.noticedAs, NOTICE_LIMIT_MS, fault)
    let endedAt = faultAt
    if (fault.end !== undefined) {
      await clock.sleep(settleMs, signal)
      await fault.end(worker)
      endedAt = clock.now()
    }
    const healed = await healthChange(noticed.id, worker, ['healthy'], HEAL_LIMIT_MS, fault)
    await clock.sleep(settleMs, signal)
    const until = clock.now()

    const during = load.requests.filter(({ startedAt }) => startedAt >= faultAt && startedAt < until)
    return {
      fault: fault.name,
      worker: worker.id,
      noticedMs: noticed.at - faultAt,
      healedMs: healed.at - endedAt,
      requests: during.length,
      failures: during.filter(({ outcome }) => outcome !== 'ok'),
      retried: during.filter(({ attempts }) => attempts > 1).length,
      slowestMs: Math.max(0, ...during.map(({ ms }) => ms)),
      lowestRate: lowestRate(load.requests, faultAt, until, perSecond),
    }
  }

  /** The worker's first change into one of `states` after the event `since`. */
  async function healthChange(
    since: number,
    worker: Victim,
    states: readonly string[],
    limitMs: number,
    fault: FaultKind,
  ) {
    const what = `${worker.id} has not become ${states.join(' or ')} within ${limitMs} ms of a ${fault.name}`
    using limit = deadline(clock, limitMs, signal, () => new Error(`Cannot go on with the drill: ${what}`))
    for (;;) {
      const { events } = await api.events(
        { since_id: since, worker: worker.id, type: ['health_changed'] },
        limit.signal,
      )
      const found = events.find(({ details }) => states.includes(String(details.to)))
      if (found !== undefined) return { id: found.id, at: parseIsoTime(found.at) }
      await clock.sleep(POLL_MS, limit.signal)
    }
  }
}

/** Of whole seconds from `from` to `until`: the smallest number of answers that came in one, over what was sent in one. */
function lowestRate(requests: readonly LoadRequest[], from: number, until: number, perSecond: number): number {
  const answeredAt = requests.map(({ startedAt, ms }) => startedAt + ms)
  const counts: number[] = []
  for (let second = from; second + 1_000 <= until; second += 1_000) {
    counts.push(answeredAt.filter((at) => at >= second && at < second + 1_000).length)
  }
  return counts.length === 0 || perSecond === 0 ? 1 : Math.min(...counts) / perSecond
}

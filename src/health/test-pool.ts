import assert from 'node:assert/strict'
import { abortable } from '../lib/abort.ts'
import { FakeClock } from '../lib/fake-clock.ts'
import { type Random, seededRandom } from '../lib/random.ts'
import { CheckEndpoints } from './check-endpoints.ts'
import type { CheckEndpoint } from './check-plan.ts'
import { localLadder } from './ladder/local-ladder.ts'
import { Monitor } from './monitor.ts'
import type { MonitorEvent } from './monitored.ts'
import { OutcomeLedger } from './outcome-ledger.ts'
import { DEFAULT_POLICY, type HealthPolicy } from './policy.ts'
import { PoolGovernor } from './pool-governor.ts'

const ENDPOINTS: readonly CheckEndpoint[] = ['a', 'b', 'c'].map((name) => ({ name, url: `https://${name}.test/` }))

/** What a simulated worker does; to be changed by the test. */
interface Worker {
  /** Whether its packets get anywhere. Silence, not an error, is what a loss looks like. */
  reachesRelays: boolean
  process: 'running' | 'hung' | 'exited'
  /** Restarts that ended or began its process; what it was restarted for is mended by that, unless it is out of reach. */
  restarts: number
  reboots: number
}

export interface TestPoolOptions {
  readonly size: number
  readonly policy?: HealthPolicy
  readonly latencyMs?: number
  readonly hasPulse?: boolean
  readonly hasHost?: boolean
  readonly hasUplink?: boolean
  readonly random?: Random
}

/**
 * A pool whose workers, check endpoints and uplink are simulated, and everything of this folder is real. Disposing ends
 * the watch and checks that no timer is left.
 */
export function poolOf({ size, policy = DEFAULT_POLICY, latencyMs = 50, hasPulse = true, ...more }: TestPoolOptions) {
  const clock = new FakeClock(0)
  const random = more.random ?? seededRandom(1)
  /** `loss`: the share of checks that never end. */
  const world = { hasUplink: more.hasUplink ?? true, hasSites: true, loss: 0 }
  const workers = new Map<string, Worker>()
  const monitors = new Map<string, Monitor>()
  const story: string[] = []
  let origin = 0
  const tell = (line: string) => story.push(`${((clock.now() - origin) / 1_000).toFixed(2)}s ${line}`)
  const governor = new PoolGovernor({
    clock,
    onEvent: (event) => tell(event.type === 'uplink-suspected' ? 'uplink suspected' : 'uplink cleared'),
  })
  const outcomes = new OutcomeLedger(clock)
  const checks = new CheckEndpoints({
    endpoints: ENDPOINTS,
    clock,
    isWell: (id) => monitors.get(id)?.health.status === 'healthy',
    async check(id, _, signal) {
      const worker = find(workers, id)
      const isLost =
        !world.hasUplink || !worker.reachesRelays || worker.process === 'hung' || random.float() < world.loss
      if (worker.process === 'exited') throw new Error('connection refused')
      if (isLost) return await silence(signal)
      await clock.sleep(latencyMs, signal)
      if (!world.hasSites) throw new Error('HTTP 503')
      return { latencyMs }
    },
  })
  const controller = new AbortController()
  const running: Promise<void>[] = []
  for (let n = 1; n <= size; n++) {
    const id = `tor${n}`
    const worker: Worker = { reachesRelays: true, process: 'running', restarts: 0, reboots: 0 }
    workers.set(id, worker)
    const answer = async (signal: AbortSignal) => {
      if (worker.process === 'exited') throw new Error('connection refused')
      if (worker.process === 'hung') await silence(signal)
    }
    const monitor = new Monitor(
      {
        probe: (signal) => checks.probe(id, signal),
        ...(hasPulse ? { pulse: answer } : {}),
        isGone: () => worker.process === 'exited',
        recover: (attempt, signal) =>
          attempt.climb(
            localLadder(
              {
                reachHost: async () => {
                  if (worker.process === 'exited') throw new Error('the process has ended')
                },
                greetSocks: answer,
                restartTor: async (end) => {
                  worker.restarts += 1
                  worker.process = 'exited'
                  await clock.sleep(2_000, end)
                  worker.process = 'running'
                },
                verifyCircuit: async (end) => {
                  const result = await checks.probe(id, end)
                  if (result.verdict === 'failed') throw new Error(result.reason)
                },
              },
              attempt,
            ),
            signal,
          ),
        ...(more.hasHost ? { reboot: async () => void worker.reboots++ } : {}),
      },
      {
        clock,
        random,
        // As if the first interval were like the others: transcripts are of one sequence of random numbers.
        policy: { ...policy, firstCheckJitter: policy.checkJitter },
        ward: governor.ward(id),
        outcomes: outcomes.page(id),
        onEvent: (event) => {
          const words = inWords(event)
          if (words !== undefined) tell(`${id} ${words}`)
        },
      },
    )
    monitors.set(id, monitor)
    running.push(monitor.run(controller.signal))
  }
  return {
    clock,
    world,
    governor,
    workers,
    story,
    worker: (n: number) => find(workers, `tor${n}`),
    monitor: (n: number) => find(monitors, `tor${n}`),
    statuses: () => [...monitors.values()].map(({ health }) => health.status),
    startStory() {
      origin = clock.now()
      story.length = 0
    },
    async [Symbol.asyncDispose]() {
      controller.abort(new Error('the test is over'))
      await Promise.all(running)
      assert.equal(clock.pending, 0, 'a timer is left')
    },
  }
}

/** The turns of a worker's health; what leads to them is not told. */
function inWords(event: MonitorEvent): string | undefined {
  switch (event.type) {
    case 'health-changed':
      return `${event.from} > ${event.to}`
    case 'recovery-step-ended':
      return `${event.step.name} ${event.step.skipped ? 'skipped' : event.step.ok ? 'passed' : 'failed'}`
    case 'healing-held':
      return `${event.action} held: ${event.reason}`
    case 'quarantined':
      return 'quarantined'
    case 'held-down':
      return 'held down'
    case 'reboot-ordered':
      return 'reboot ordered'
    default:
      return undefined
  }
}

function silence(signal: AbortSignal): Promise<never> {
  return abortable(new Promise<never>(() => {}), signal)
}

function find<T>(all: ReadonlyMap<string, T>, id: string): T {
  const found = all.get(id)
  if (found === undefined) throw new Error(`There is no ${id}`)
  return found
}

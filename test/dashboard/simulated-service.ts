import { mkdtempSync, readFileSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { setTimeout as sleep } from 'node:timers/promises'
import { adminKeyFile } from '../../src/auth/admin-key.ts'
import { type ApiClient, createApiClient } from '../../src/client/client.ts'
import { parseConfig } from '../../src/config/read-config.ts'
import type { Scope } from '../../src/domain/caller.ts'
import { type Random, seededRandom } from '../../src/lib/random.ts'
import { createService, type Service } from '../../src/service.ts'
import { ONION, simulatedSites } from './simulated-sites.ts'
import { SimulatedWorker } from './simulated-worker.ts'

export interface SimulationOptions {
  readonly workers: number
  /** Requests per second that come all the time; none when left out. */
  readonly traffic?: number
  /** A worker fails so often, and comes back by itself: milliseconds. Never when left out. */
  readonly troubleEveryMs?: number
  /** How long each worker takes to bootstrap; milliseconds. */
  readonly bootMs?: number
  readonly latencyMs?: number
  /** Further fields of the configuration file. */
  readonly config?: Readonly<Record<string, unknown>>
}

/** The service, real but for its workers and what lies behind them, for as long as it takes to look at its page. */
export interface Simulation extends AsyncDisposable {
  readonly url: string
  /** That may everything. */
  readonly adminKey: string
  readonly api: ApiClient
  worker(id: string): SimulatedWorker
  key(name: string, scopes: readonly Scope[]): Promise<string>
  /** Ends the service and starts it again, at the same address and with the same state. */
  restart(): Promise<void>
}

export async function startSimulation(options: SimulationOptions): Promise<Simulation> {
  await using parts = new AsyncDisposableStack()
  const state = mkdtempSync(join(tmpdir(), 'cbtor-simulated-'))
  parts.defer(() => rmSync(state, { recursive: true, force: true }))
  const random = seededRandom(7)
  const targets = simulatedSites(random)
  const { workers: count, bootMs = 0, latencyMs = 200 } = options
  const ids = Array.from({ length: count }, (_, n) => `tor${String(n + 1).padStart(count > 99 ? 3 : 2, '0')}`)
  const drivers = new Map<string, SimulatedWorker>()
  let port = 0
  let service: Service | undefined

  async function start(): Promise<Service> {
    const document = {
      ...{ state, listen: `127.0.0.1:${port}`, log: 'silent', proxy: { http: 'off', socks: 'off' } },
      ...{ politeness: 'off', limits: { rate: 'off', concurrent: 'off' } },
      workers: ids.map((id) => ({ kind: 'local', id })),
      checks: { clearnet: ['http://check.cbtor.test/'], onion: [`http://${ONION}/`] },
      ...options.config,
    }
    const createDriver = (id: string) => {
      const driver = new SimulatedWorker({ id, targets, bootMs, latencyMs })
      drivers.set(id, driver)
      return driver
    }
    return await createService(parseConfig(document, {}), { createDriver }, new AbortController().signal)
  }

  parts.defer(() => service?.[Symbol.asyncDispose]())
  service = await start()
  await service.ready(AbortSignal.timeout(60_000))
  const { url } = service
  port = Number(new URL(url).port)
  const adminKey = readFileSync(adminKeyFile(state), 'utf8').trim()
  const api = createApiClient({ baseUrl: url, key: adminKey })
  const worker = (id: string) => {
    const driver = drivers.get(id)
    if (driver === undefined) throw new Error(`There is no simulated worker ${id}`)
    return driver
  }

  const life = new AbortController()
  const goingOn = [
    ...(options.traffic === undefined ? [] : [keepFetching(api, options.traffic, random, life.signal)]),
    ...(options.troubleEveryMs === undefined
      ? []
      : [keepFailing(() => worker(ids[random.int(count)] ?? 'tor01'), options.troubleEveryMs, random, life.signal)]),
  ]
  parts.defer(async () => {
    life.abort()
    await Promise.allSettled(goingOn)
  })
  const owned = parts.move()
  return {
    ...{ url, adminKey, api, worker },
    key: async (name, scopes) => (await api.createKey({ name, scopes: [...scopes] })).key,
    async restart() {
      await service?.[Symbol.asyncDispose]()
      service = await start()
    },
    [Symbol.asyncDispose]: () => owned.disposeAsync(),
  }
}

/** As several programs would: most for new identities, some in sessions, few to what is slow, fails or is not there. */
async function keepFetching(api: ApiClient, perSecond: number, random: Random, signal: AbortSignal): Promise<void> {
  while (!signal.aborted) {
    await sleep((2_000 / perSecond) * random.float(), undefined, { signal })
    const dice = random.float()
    const host =
      dice < 0.015 ? 'slow.cbtor.test' : dice < 0.03 ? 'nowhere.cbtor.test' : dice < 0.2 ? ONION : 'www.cbtor.test'
    const sharing = random.float() < 0.3 ? { sticky_key: `shop-${random.int(12)}` } : { isolation: 'request' as const }
    api.fetch({ url: `http://${host}/${random.int(1_000)}`, ...sharing }, signal).catch(() => {})
  }
}

/** Kills, freezes or cuts off one worker after the other. */
async function keepFailing(
  next: () => SimulatedWorker,
  everyMs: number,
  random: Random,
  signal: AbortSignal,
): Promise<void> {
  while (!signal.aborted) {
    await sleep(everyMs * (0.5 + random.float()), undefined, { signal })
    const worker = next()
    const dice = random.float()
    if (dice < 0.5) {
      worker.kill('tor was killed by signal SIGKILL')
      continue
    }
    if (dice < 0.75) worker.freeze()
    else worker.blackhole(true)
    const mend = () => {
      worker.thaw()
      worker.blackhole(false)
    }
    sleep(20_000, undefined, { signal }).then(mend, () => {})
  }
}

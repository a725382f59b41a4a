import { join } from 'node:path'
import { demoConfig } from '../../src/cli/commands/demo.ts'
import { type ApiClient, createApiClient } from '../../src/client/client.ts'
import type { ServiceConfig } from '../../src/config/read-config.ts'
import { createService, type Service } from '../../src/service.ts'
import { TorNetwork } from '../../src/testnet/network.ts'

/** The demo's own set-up: the private network, four real workers and the API, on a port of its own. */
export interface Lab extends AsyncDisposable {
  readonly network: TorNetwork
  readonly service: Service
  readonly config: ServiceConfig
  readonly api: ApiClient
  readonly exits: readonly { readonly name: string; readonly address: string }[]
}

/** Most tests are about other things than keys. */
export function withoutKeys(config: ServiceConfig): ServiceConfig {
  return { ...config, auth: 'off', proxy: { ...config.proxy, auth: 'off' } }
}

/** And most ask the few sites that there are as often as they can. */
export function withoutLimits(config: ServiceConfig): ServiceConfig {
  const { POSITIVE_INFINITY: any } = Number
  return { ...config, politeness: 'off', limits: { ...config.limits, rate: any, burst: any, concurrent: any } }
}

/** `changes`: to the configuration of the demo, in which no keys are asked for and nothing is limited. */
export async function createLab(changes: Partial<ServiceConfig> = {}): Promise<Lab> {
  const never = new AbortController().signal
  await using parts = new AsyncDisposableStack()
  const network = parts.use(await TorNetwork.create())
  const config = {
    ...withoutLimits(withoutKeys(demoConfig(network, '127.0.0.1:0', join(network.directory, 'lab')))),
    log: 'silent' as const,
    ...changes,
  }
  const service = parts.use(await createService(config, {}, never))
  await service.ready(AbortSignal.timeout(60_000))
  const owned = parts.move()
  return {
    network,
    service,
    config,
    api: createApiClient({ baseUrl: service.url }),
    exits: network.processes().flatMap(({ name, role, address }) => (role === 'exit' ? [{ name, address }] : [])),
    [Symbol.asyncDispose]: () => owned.disposeAsync(),
  }
}

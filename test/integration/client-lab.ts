import { join } from 'node:path'
import { demoConfig } from '../../src/cli/commands/demo.ts'
import { createApiClient } from '../../src/client/client.ts'
import { createService } from '../../src/service.ts'
import type { TorNetwork } from '../../src/testnet/network.ts'
import { createLab, withoutLimits } from './lab.ts'

/** The demo, as programs with a proxy see it. */
export interface ClientLab extends AsyncDisposable {
  readonly network: TorNetwork
  readonly urls: TorNetwork['urls']
  /** The certificate by which https sites are to be trusted. */
  readonly ca: string
  readonly exits: readonly {
    readonly name: string
    readonly address: string
  }[]
  /** Where the ports are: `127.0.0.1:8118`. */
  readonly http: string
  readonly socks: string
  /** What the ports ask for, where they do. */
  readonly key: string
}

export interface LockedProxy extends AsyncDisposable {
  readonly http: string
  readonly password: string
}

/** `auth`: whether the ports ask for a key. */
export async function createClientLab(auth: 'on' | 'off' = 'on'): Promise<ClientLab> {
  const at = { host: '127.0.0.1', port: 0 }
  const lab = await createLab({
    // There are four exits, each in a country of its own.
    exits: { min_exits: 1, min_families: 1 },
    proxy: { http: at, socks: at, both: undefined, auth, idle_timeout: 60_000 },
  })
  const { http, socks } = lab.service.proxy
  const { key } = await lab.api.createKey({ name: 'programs', scopes: ['proxy'] })
  return {
    network: lab.network,
    urls: lab.network.urls,
    ca: lab.network.caFile,
    exits: lab.exits,
    http: placeOf(http),
    socks: placeOf(socks),
    key,
    [Symbol.asyncDispose]: () => lab[Symbol.asyncDispose](),
  }
}

/** A second gateway on the same network, of one worker, whose HTTP port asks for a key. */
export async function createLockedProxy(network: TorNetwork): Promise<LockedProxy> {
  const base = withoutLimits(demoConfig(network, '127.0.0.1:0', join(network.directory, 'locked')))
  const config = {
    ...base,
    log: 'silent' as const,
    workers: [
      {
        kind: 'local' as const,
        id: 'tor01',
        torrc: [...network.clientTorrc({ client: 5 })],
      },
    ],
    proxy: {
      ...base.proxy,
      socks: 'off' as const,
    },
  }
  const service = await createService(config, {}, new AbortController().signal)
  await service.ready(AbortSignal.timeout(60_000))
  const api = createApiClient({ baseUrl: service.url, key: service.adminKey })
  const { key: password } = await api.createKey({ name: 'a browser', scopes: ['proxy'] })
  return {
    http: placeOf(service.proxy.http),
    password,
    [Symbol.asyncDispose]: () => service[Symbol.asyncDispose](),
  }
}

function placeOf(url: string | undefined): string {
  if (url === undefined) throw new Error('The port is off')
  return new URL(url).host
}

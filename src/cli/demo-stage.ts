/** What the demos on this machine and on boxes have in common. */
import { renameSync, rmSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { adminKeyFile, readAdminKey } from '../auth/admin-key.ts'
import { createApiClient } from '../client/client.ts'
import { parseConfig, type ServiceConfig } from '../config/read-config.ts'
import { deadline } from '../lib/abort.ts'
import { type DemoPages, takeSamples } from './demo-samples.ts'
import type { CliParts, RunningService, RunningTestNetwork } from './parts.ts'
import { formatTable } from './table.ts'

export interface DemoFlags {
  readonly listen: string
  readonly state?: string
  readonly latency?: number
  readonly once?: true
}

export const WORKERS = ['tor01', 'tor02', 'tor03', 'tor04']

/** Where the private network's relays and sites are; reserved for documentation by RFC 5737. */
const DOCUMENTATION_NETWORKS = ['203.0.113.0/24', '198.51.100.0/24']

/** The relays are all ours, and no harm comes to them. */
const CIRCUITS = { rate: 10_000, burst: 10_000 }

/** There is one exit in each of four countries. */
const EXITS = { min_exits: 1, min_families: 1 }

const READY_LIMIT_MS = 120_000

/** `workers` and `tor`: as in the configuration file. */
export function stageConfig(
  network: RunningTestNetwork,
  own: {
    readonly listen: string
    readonly state: string
    readonly workers: readonly unknown[]
    readonly proxy: Readonly<Record<string, unknown>>
    readonly tor?: Readonly<Record<string, unknown>>
  },
): ServiceConfig {
  const { check, onion } = pagesOf(network)
  return parseConfig(
    {
      ...own,
      log: 'warn',
      circuits: CIRCUITS,
      exits: EXITS,
      targets: { allow_reserved: DOCUMENTATION_NETWORKS, ca_file: network.caFile },
      checks: { clearnet: [check], onion: [onion] },
    },
    {},
  )
}

/** The pages that the demo and its reader fetch. */
export function pagesOf({ urls }: RunningTestNetwork): DemoPages {
  return {
    check: `${urls.check}/api/ip`,
    httpsCheck: `${urls.httpsCheck}/api/ip`,
    www: `${urls.www}/`,
    onion: `${urls.onion}/`,
  }
}

/** Resolves once all workers are healthy. */
export async function startService(config: ServiceConfig, parts: CliParts): Promise<RunningService> {
  await using owned = new AsyncDisposableStack()
  const service = owned.use(await parts.createService(config, parts.signal))
  rmSync(descriptorOf(config.state), { force: true }) // of an earlier demo, now that the directory is ours
  const late = () => new Error('Cannot go on: workers do not come up')
  using limit = deadline(parts.clock, READY_LIMIT_MS, parts.signal, late)
  await service.ready(limit.signal)
  owned.move()
  return service
}

/** Fetches one of each kind, and shows what came back. */
export async function showSamples(
  network: RunningTestNetwork,
  { url }: RunningService,
  state: string,
  { out, signal }: CliParts,
): Promise<void> {
  const rows = await takeSamples(createApiClient({ baseUrl: url, key: stageKey(state) }), pagesOf(network), signal)
  out.write(`${formatTable(['what', 'worker', 'route', 'exit', 'status', 'time'], rows)}\n\n`)
}

/** The key that may everything. It is in the state directory, also of a demo that was there before. */
export function stageKey(state: string): string | undefined {
  return readAdminKey(adminKeyFile(state))
}

/** Describes the demo to programs, until disposed. `more`: fields besides the common ones. */
export function writeDescriptor(
  network: RunningTestNetwork,
  service: RunningService,
  state: string,
  more: Readonly<Record<string, unknown>>,
): Disposable & { readonly path: string } {
  const path = descriptorOf(state)
  const pages = pagesOf(network)
  const description = {
    api: service.url,
    key_file: adminKeyFile(state),
    http_proxy: service.proxy.http ?? null,
    socks_proxy: service.proxy.socks ?? null,
    check_url: pages.check,
    https_check_url: pages.httpsCheck,
    www_url: pages.www,
    onion_url: pages.onion,
    ca_file: network.caFile,
    workers: WORKERS,
    ...more,
  }
  // Whoever waits for the file reads all of it or none.
  writeFileSync(`${path}.new`, `${JSON.stringify(description, null, 2)}\n`)
  renameSync(`${path}.new`, path)
  return { path, [Symbol.dispose]: () => rmSync(path, { force: true }) }
}

/** What the reader can try, and where to read on. `more`: commands besides the common ones. */
export function invitation(
  network: RunningTestNetwork,
  { url, proxy }: RunningService,
  state: string,
  descriptor: string,
  more: readonly string[],
): string {
  const pages = pagesOf(network)
  const keyFile = adminKeyFile(state)
  const post = (path: string, body: object) =>
    `  curl -s ${url}${path} -H "authorization: Bearer $KEY" -H 'content-type: application/json' -d '${JSON.stringify(body)}'`
  return [
    `Page       ${url}/ (asks for the key)`,
    `API        ${url}`,
    `Documents  ${url}/docs`,
    ...(proxy.http ? [`HTTP proxy ${proxy.http}`] : []),
    ...(proxy.socks ? [`SOCKS5     ${proxy.socks}`] : []),
    `Described  ${descriptor}`,
    `Key        ${keyFile}`,
    '',
    'Try:',
    `  KEY=$(cat ${keyFile})`,
    post('/api/v1/fetch', { url: pages.check }),
    post('/api/v1/fetch', { url: pages.onion }),
    post('/api/v1/fetch', { url: pages.httpsCheck, sticky_key: 'my-session-123' }),
    post('/api/v1/workers/drain', { worker: 'tor01' }),
    `  curl -s ${url}/api/v1/health -H "authorization: Bearer $KEY"`,
    ...(proxy.http ? [`  curl -s -x ${proxy.http} --proxy-user key-my-session:$KEY ${pages.check}`] : []),
    ...(proxy.socks
      ? [
          `  curl -s -x ${proxy.socks} --proxy-user isolate-destination:$KEY --cacert ${network.caFile} ${pages.httpsCheck}`,
        ]
      : []),
    ...more,
    '',
  ].join('\n')
}

function descriptorOf(state: string): string {
  return join(state, 'demo.json')
}

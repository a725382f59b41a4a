import { rmSync, writeFileSync } from 'node:fs'
import { join, resolve } from 'node:path'
import { Command, InvalidArgumentError } from 'commander'
import { createApiClient } from '../../api/client.ts'
import { parseConfig, type ServiceConfig } from '../../config/read-config.ts'
import { deadline } from '../../lib/abort.ts'
import { type DemoPages, takeSamples } from '../demo-samples.ts'
import type { CliParts, RunningService, RunningTestNetwork } from '../parts.ts'
import { ProgressLine } from '../progress-line.ts'
import { formatTable } from '../table.ts'
import { untilAborted } from '../until-aborted.ts'

interface DemoFlags {
  readonly listen: string
  readonly state?: string
  readonly latency?: number
  readonly once?: true
}

/** Where the private network's relays and sites are; reserved for documentation by RFC 5737. */
const DOCUMENTATION_NETWORKS = ['203.0.113.0/24', '198.51.100.0/24']

const READY_LIMIT_MS = 120_000

const WORKERS = ['tor01', 'tor02', 'tor03', 'tor04']

export function demoCommand(parts: CliParts): Command {
  return new Command('demo')
    .description('the whole service on a private Tor network on this machine, with sample fetches')
    .option('--listen <host:port>', 'address of the API', '127.0.0.1:32211')
    .option('--state <directory>', 'where demo.json and the service keep their files (default: removed at the end)')
    .option('--latency <ms>', 'one-way delay of each hop between relays', parseLatency)
    .option('--once', 'exit after the samples')
    .addHelpText('after', '\nExamples:\n  npm run demo\n  npm run demo -- --once --listen 127.0.0.1:4000 --latency 20')
    .action((flags: DemoFlags) => demo(flags, parts))
}

async function demo(flags: DemoFlags, parts: CliParts): Promise<void> {
  parseConfig({ listen: flags.listen }, parts.env) // faults before the network is built, not after
  const startedAt = parts.clock.monotonic()
  const progress = new ProgressLine(parts.err)
  await using network = await parts.createTestNetwork(
    {
      ...(flags.latency !== undefined && { latencyMs: flags.latency }),
      onProgress: ({ done, total, text }) => progress.show((done / total) * 0.7, `private Tor network: ${text}`),
    },
    parts.signal,
  )
  const state = resolve(flags.state ?? join(network.directory, 'demo'))
  const descriptor = join(state, 'demo.json')

  progress.show(0.8, 'workers: bootstrapping')
  await using service = await parts.createService(demoConfig(network, flags.listen, state), parts.signal)
  rmSync(descriptor, { force: true }) // of an earlier demo, now that the directory is ours
  using limit = deadline(
    parts.clock,
    READY_LIMIT_MS,
    parts.signal,
    () => new Error('Cannot go on: workers do not come up'),
  )
  await service.ready(limit.signal)
  progress.end()
  for (const loss of network.lost) parts.err.write(`note: ${loss}\n`)
  const seconds = ((parts.clock.monotonic() - startedAt) / 1_000).toFixed(1)
  parts.out.write(
    `\nA private Tor network and ${WORKERS.length} workers are up after ${seconds} s. Fetching through them:\n\n`,
  )

  const rows = await takeSamples(createApiClient({ baseUrl: service.url }), pagesOf(network), parts.signal)
  parts.out.write(`${formatTable(['what', 'worker', 'route', 'exit', 'status', 'time'], rows)}\n\n`)
  writeFileSync(descriptor, `${JSON.stringify(describe(network, service), null, 2)}\n`)
  parts.out.write(invitation(network, service, descriptor))
  if (!flags.once) {
    parts.out.write('\nCtrl-C ends it and cleans up.\n')
    await untilAborted(parts.signal)
  }
  rmSync(descriptor, { force: true })
}

export function demoConfig(network: RunningTestNetwork, listen: string, state: string): ServiceConfig {
  return parseConfig(
    {
      listen,
      state,
      log: 'warn',
      workers: WORKERS.map((id, index) => ({ kind: 'local', id, torrc: network.clientTorrc({ client: index + 1 }) })),
      tor: {
        command: network.clientCommand(),
        reject_internal_addresses: network.isolation === 'namespace',
      },
      targets: { allow: DOCUMENTATION_NETWORKS },
      tls: { ca_file: network.caFile },
      checks: { clearnet: [pagesOf(network).check], onion: [pagesOf(network).onion] },
    },
    {},
  )
}

/** The pages that the demo and its reader fetch. */
function pagesOf({ urls }: RunningTestNetwork): DemoPages {
  return {
    check: `${urls.check}/api/ip`,
    httpsCheck: `${urls.httpsCheck}/api/ip`,
    www: `${urls.www}/`,
    onion: `${urls.onion}/`,
  }
}

function describe(network: RunningTestNetwork, service: RunningService) {
  const pages = pagesOf(network)
  return {
    api: service.url,
    check_url: pages.check,
    https_check_url: pages.httpsCheck,
    www_url: pages.www,
    onion_url: pages.onion,
    ca_file: network.caFile,
    workers: WORKERS,
    pids: service.pids(),
  }
}

function invitation(network: RunningTestNetwork, service: RunningService, descriptor: string): string {
  const pages = pagesOf(network)
  const post = (path: string, body: object) =>
    `  curl -s ${service.url}${path} -H 'content-type: application/json' -d '${JSON.stringify(body)}'`
  return [
    `API        ${service.url}`,
    `Documents  ${service.url}/docs`,
    `Described  ${descriptor}`,
    '',
    'Try:',
    post('/api/v1/fetch', { url: pages.check }),
    post('/api/v1/fetch', { url: pages.onion }),
    post('/api/v1/fetch', { url: pages.httpsCheck, sticky_key: 'my-session-123' }),
    post('/api/v1/workers/drain', { worker: 'tor01' }),
    `  curl -s ${service.url}/api/v1/health`,
    '',
  ].join('\n')
}

export function parseLatency(text: string): number {
  const ms = Number(text)
  if (Number.isInteger(ms) && ms >= 0 && ms <= 1_000 && text.trim() !== '') return ms
  throw new InvalidArgumentError('Expected whole milliseconds from 0 to 1000.')
}

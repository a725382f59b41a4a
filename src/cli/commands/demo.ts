import { join, resolve } from 'node:path'
import { Command, InvalidArgumentError } from 'commander'
import { parseConfig, type ServiceConfig } from '../../config/read-config.ts'
import {
  type DemoFlags,
  invitation,
  showSamples,
  stageConfig,
  startService,
  WORKERS,
  writeDescriptor,
} from '../demo-stage.ts'
import type { CliParts, DemoParts, RunningTestNetwork } from '../parts.ts'
import { ProgressLine } from '../progress-line.ts'
import { untilAborted } from '../until-aborted.ts'
import { demoBoxes, IN_HOST, startDemoBoxes } from './demo-boxes.ts'

interface Flags extends DemoFlags {
  readonly openwrt?: true
  readonly inHost?: true
}

export function demoCommand(parts: DemoParts): Command {
  return new Command('demo')
    .option('--openwrt', 'on four OpenWrt boxes, by four WireGuard tunnels; takes root')
    .option('--listen <host:port>', 'address of the API', '127.0.0.1:32211')
    .option('--state <directory>', 'where demo.json and the service keep their files (default: removed at the end)')
    .option('--latency <ms>', 'one-way delay of each hop between relays', parseLatency)
    .option('--once', 'exit after the samples')
    .addOption(IN_HOST)
    .addHelpText(
      'after',
      '\nExamples:\n  npm run demo\n  npm run demo -- --once --listen 127.0.0.1:4000 --latency 20\n  sudo npm run demo -- --openwrt',
    )
    .action(async (flags: Flags) => {
      parseConfig({ listen: flags.listen }, parts.env) // faults before the network is built, not after
      if (flags.inHost) await demoBoxes(flags, parts)
      else if (flags.openwrt) await startDemoBoxes(flags, parts)
      else await demo(flags, parts)
    })
}

async function demo(flags: DemoFlags, parts: CliParts): Promise<void> {
  const { clock, out, err, signal } = parts
  const startedAt = clock.monotonic()
  const progress = new ProgressLine(err)
  await using network = await parts.createTestNetwork(
    {
      ...(flags.latency !== undefined && { latencyMs: flags.latency }),
      onProgress: ({ done, total, text }) => progress.show((done / total) * 0.7, `private Tor network: ${text}`),
    },
    signal,
  )
  const state = resolve(flags.state ?? join(network.directory, 'demo'))
  progress.show(0.8, 'workers: bootstrapping')
  await using service = await startService(demoConfig(network, flags.listen, state), parts)
  progress.end()
  for (const loss of network.lost) err.write(`note: ${loss}\n`)
  const seconds = ((clock.monotonic() - startedAt) / 1_000).toFixed(1)
  out.write(
    `\nA private Tor network and ${WORKERS.length} workers are up after ${seconds} s. Fetching through them:\n\n`,
  )

  await showSamples(network, service, state, parts)
  using descriptor = writeDescriptor(network, service, state, { pids: service.pids() })
  out.write(invitation(network, service, state, descriptor.path, []))
  if (flags.once) return
  out.write('\nCtrl-C ends it and cleans up.\n')
  await untilAborted(signal)
}

export function demoConfig(network: RunningTestNetwork, listen: string, state: string): ServiceConfig {
  return stageConfig(network, {
    ...{ listen, state },
    proxy: { http: '127.0.0.1:0', socks: '127.0.0.1:0' },
    workers: WORKERS.map((id, index) => ({ kind: 'local', id, torrc: network.clientTorrc({ client: index + 1 }) })),
    tor: { command: network.clientCommand(), reject_internal_addresses: network.isolation === 'namespace' },
  })
}

export function parseLatency(text: string): number {
  const ms = Number(text)
  if (Number.isInteger(ms) && ms >= 0 && ms <= 1_000 && text.trim() !== '') return ms
  throw new InvalidArgumentError('Expected whole milliseconds from 0 to 1000.')
}

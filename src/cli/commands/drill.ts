import { join } from 'node:path'
import { Command, InvalidArgumentError } from 'commander'
import { createApiClient } from '../../client/client.ts'
import { drill, type FaultResult } from '../drill/drill.ts'
import { faultKinds } from '../drill/faults.ts'
import type { CliParts, TestNetworkProgress } from '../parts.ts'
import { ProgressLine } from '../progress-line.ts'
import { formatTable } from '../table.ts'
import { demoConfig } from './demo.ts'

interface DrillFlags {
  readonly kills: number
  readonly freezes: number
  readonly blackholes: number
  readonly rate: number
  readonly json?: true
}

const SETTLE_MS = 3_000

export function drillCommand(parts: CliParts): Command {
  return new Command('drill')
    .option('--kills <count>', 'workers to kill', parseCount, 4)
    .option('--freezes <count>', 'workers to freeze', parseCount, 2)
    .option('--blackholes <count>', 'workers whose relays become unreachable', parseCount, 1)
    .option('--rate <requests>', 'requests a second; 0 for an idle pool', parseCount, 20)
    .option('--json', 'results as JSON')
    .addHelpText('after', '\nExample:\n  cbtor drill --kills 20 --freezes 5 --blackholes 2')
    .action((flags: DrillFlags) => runDrill(flags, parts))
}

async function runDrill(flags: DrillFlags, parts: CliParts): Promise<void> {
  const { signal, clock, out, err } = parts
  const progress = new ProgressLine(err)
  const onProgress = ({ done, total, text }: TestNetworkProgress) => progress.show(done / total, text)
  await using network = await parts.createTestNetwork({ onProgress }, signal)
  // It asks one site all the time.
  const config = {
    ...demoConfig(network, '127.0.0.1:0', join(network.directory, 'drill')),
    politeness: 'off' as const,
  }
  await using service = await parts.createService(config, signal)
  await service.ready(signal)
  progress.end()

  const kinds = faultKinds(service, network)
  const results = await drill(
    {
      api: createApiClient({ baseUrl: service.url, key: service.adminKey }),
      clock,
      url: `${network.urls.www}/ip`,
      perSecond: flags.rate,
      workers: config.workers.map(({ id }, index) => ({ id, n: index + 1 })),
      faults: [
        ...Array.from({ length: flags.kills }, () => kinds.kill),
        ...Array.from({ length: flags.freezes }, () => kinds.freeze),
        ...Array.from({ length: flags.blackholes }, () => kinds.blackhole),
      ],
      settleMs: SETTLE_MS,
      onResult: ({ fault, worker, failures }) => err.write(`${fault} ${worker}: ${failures.length} failed\n`),
    },
    signal,
  )
  out.write(flags.json ? `${JSON.stringify(results, null, 2)}\n` : `${report(results)}\n`)
}

function report(results: readonly FaultResult[]): string {
  const ms = (value: number) => `${Math.round(value)} ms`
  const rows = results.map((result) => [
    result.fault,
    result.worker,
    ms(result.noticedMs),
    ms(result.healedMs),
    `${result.failures.length} of ${result.requests}`,
    String(result.retried),
    ms(result.slowestMs),
    `${Math.round(result.lowestRate * 100)} %`,
  ])
  const header = ['fault', 'worker', 'noticed', 'healed', 'failed', 'retried', 'slowest', 'lowest rate']
  return formatTable(header, rows)
}

function parseCount(text: string): number {
  if (/^\d{1,4}$/.test(text)) return Number(text)
  throw new InvalidArgumentError('Expected a whole number from 0 to 9999.')
}

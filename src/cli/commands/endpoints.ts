import { Command } from 'commander'
import type { Endpoints } from '../../client/client.ts'
import { ask } from '../ask.ts'
import { type JsonFlags, type ServiceFlags, withJson, withService } from '../flags.ts'
import { writeJson } from '../json.ts'
import type { ServiceParts } from '../parts.ts'
import { showAge, showMs } from '../spans.ts'
import { formatTable } from '../table.ts'

interface Flags extends ServiceFlags, JsonFlags {
  readonly workers?: true
}

type Statistics = Endpoints['endpoints'][number]['workers'][number]

export function endpointsCommand(parts: ServiceParts): Command {
  return withJson(withService(new Command('endpoints')))
    .option('--workers', 'a line for each worker, too')
    .addHelpText('after', '\nExamples:\n  cbtor endpoints\n  cbtor endpoints --workers')
    .action(async (flags: Flags) => {
      const answer = await ask(flags, parts, (api, signal) => api.endpoints(signal))
      if (flags.json) writeJson(parts.out, answer)
      else parts.out.write(`${table(answer, flags, parts.clock.now())}\n`)
    })
}

function table({ endpoints }: Endpoints, { workers: withWorkers }: Flags, now: number): string {
  const rows = endpoints.flatMap((endpoint) => [
    [endpoint.kind, endpoint.url, '', ...figures(endpoint, now)],
    ...(withWorkers ? endpoint.workers.map((each) => ['', '', each.worker, ...figures(each, now)]) : []),
  ])
  const header = ['kind', 'url', 'worker', 'checks', 'failed', 'p50', 'p95', 'last success', 'last error']
  const shown = withWorkers ? [0, 1, 2, 3, 4, 5, 6, 7, 8] : [0, 1, 3, 4, 5, 6, 7, 8]
  const only = (cells: readonly string[]) => shown.map((column) => cells[column] ?? '')
  return formatTable(only(header), rows.map(only))
}

function figures(
  { attempts, failures, latency_ms: latency, last_success_at: at, last_error: error }: Omit<Statistics, 'worker'>,
  now: number,
): readonly string[] {
  return [
    ...[String(attempts), String(failures)],
    ...(latency === null ? ['', ''] : [showMs(latency.p50), showMs(latency.p95)]),
    at === null ? 'never' : `${showAge(at, now)} ago`,
    error ?? '',
  ]
}

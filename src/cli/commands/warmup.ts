import { Command } from 'commander'
import { type ApiClient, ApiProblem } from '../../client/client.ts'
import { type ServiceFlags, withService } from '../flags.ts'
import type { CliParts, ServiceParts } from '../parts.ts'
import { formatTable } from '../table.ts'

/** As the original's `tor-warmup.sh`: one fetch through each worker, so that the first caller finds circuits that are built. */
export function warmupCommand(parts: ServiceParts): Command {
  return withService(new Command('warmup'))
    .addHelpText('after', '\nExample, for cron:\n  */10 * * * * cbtor warmup >/dev/null')
    .action(async (flags: ServiceFlags) => warmUp(await parts.connect(flags), parts))
}

async function warmUp(api: ApiClient, { out, signal }: CliParts): Promise<void> {
  const [{ endpoints }, { workers }] = await Promise.all([api.endpoints(signal), api.workers(signal)])
  const endpoint = endpoints.find(({ kind }) => kind === 'clearnet') ?? endpoints[0]
  if (endpoint === undefined) throw new Error('Cannot warm up: the service has no check endpoint')
  const rows = await Promise.all(
    workers
      .filter(({ receives_traffic }) => receives_traffic)
      .map(async ({ id }) => {
        try {
          const { receipt } = await api.fetch({ url: endpoint.url, worker: id, isolation: 'request' }, signal)
          return { ok: true, cells: [id, 'warm', `${Math.round(receipt.timing.total_ms)} ms`] }
        } catch (error) {
          if (!(error instanceof ApiProblem)) throw error
          return { ok: false, cells: [id, error.problem.code, error.problem.detail] }
        }
      }),
  )
  out.write(
    `${formatTable(
      ['worker', 'result', 'time'],
      rows.map(({ cells }) => cells),
    )}\n`,
  )
  if (!rows.some(({ ok }) => ok)) throw new Error('Cannot warm up: no worker could be used')
}

import { Command } from 'commander'
import { ApiProblem } from '../../client/client.ts'
import { ask } from '../ask.ts'
import { type JsonFlags, type ServiceFlags, withJson, withService } from '../flags.ts'
import { writeJson } from '../json.ts'
import type { ServiceParts } from '../parts.ts'
import { formatTable } from '../table.ts'

type Flags = ServiceFlags & JsonFlags

/** As the original's `tor-warmup.sh`: one fetch through each worker, so that the first caller finds circuits that are built. */
export function warmupCommand(parts: ServiceParts): Command {
  return withJson(withService(new Command('warmup')))
    .addHelpText('after', '\nExample, for cron:\n  */10 * * * * cbtor warmup >/dev/null')
    .action((flags: Flags) => warmUp(flags, parts))
}

async function warmUp(flags: Flags, parts: ServiceParts): Promise<void> {
  const { out, signal } = parts
  const [{ endpoints }, { workers }] = await ask(flags, parts, (api, until) =>
    Promise.all([api.endpoints(until), api.workers(until)]),
  )
  const api = await parts.connect(flags)
  const endpoint = endpoints.find(({ kind }) => kind === 'clearnet') ?? endpoints[0]
  if (endpoint === undefined) throw new Error('Cannot warm up: the service has no check endpoint')
  const rows = await Promise.all(
    workers
      .filter(({ receives_traffic }) => receives_traffic)
      .map(async ({ id }) => {
        try {
          const { receipt } = await api.fetch({ url: endpoint.url, worker: id, isolation: 'request' }, signal)
          const ms = Math.round(receipt.timing.total_ms)
          return { ok: true, result: { worker: id, ms, problem: null }, cells: [id, 'warm', `${ms} ms`] }
        } catch (error) {
          if (!(error instanceof ApiProblem)) throw error
          const { code, detail } = error.problem
          return { ok: false, result: { worker: id, ms: null, problem: code }, cells: [id, code, detail] }
        }
      }),
  )
  const table = formatTable(
    ['worker', 'result', 'time'],
    rows.map(({ cells }) => cells),
  )
  if (flags.json) writeJson(out, { workers: rows.map(({ result }) => result) })
  else out.write(`${table}\n`)
  if (!rows.some(({ ok }) => ok)) throw new Error('Cannot warm up: no worker could be used')
}

import { Command } from 'commander'
import type { Health, Status, Worker } from '../../client/client.ts'
import { ask } from '../ask.ts'
import { EXIT, ExitWith } from '../exit-with.ts'
import { type JsonFlags, type ServiceFlags, withJson, withService } from '../flags.ts'
import { writeJson } from '../json.ts'
import type { ServiceParts } from '../parts.ts'
import { showAge } from '../spans.ts'
import { visible } from '../visible.ts'
import { workerTable } from '../worker-table.ts'

interface Glance {
  readonly status: Status
  readonly health: Health
  readonly workers: readonly Worker[]
}

const CODES: Readonly<Record<Status['status'], number>> = {
  healthy: EXIT.ok,
  degraded: EXIT.degraded,
  down: EXIT.failed,
}

export function statusCommand(parts: ServiceParts): Command {
  return withJson(withService(new Command('status')))
    .addHelpText(
      'after',
      '\nExit code 0: every enabled worker is healthy; 3: the pool is degraded, not all of them are; 1: it is down, no worker\n' +
        'receives traffic; 4: no service answers.\n' +
        '\nExamples:\n  cbtor status\n  cbtor status --json\n  cbtor status >/dev/null || echo "look at it"',
    )
    .action((flags: ServiceFlags & JsonFlags) => showStatus(flags, parts))
}

async function showStatus(flags: ServiceFlags & JsonFlags, parts: ServiceParts): Promise<void> {
  const glance = await ask(flags, parts, async (api, signal): Promise<Glance> => {
    const [status, health, { workers }] = await Promise.all([
      api.status(signal),
      api.health(signal),
      api.workers(signal),
    ])
    return { status, health, workers }
  })
  const { status, health } = glance
  if (flags.json) writeJson(parts.out, { ...status, problems: health.problems })
  else parts.out.write(`${visible(text(glance, parts.clock.now()))}\n`)
  if (status.status !== 'healthy') throw new ExitWith(CODES[status.status])
}

function text({ status, health, workers }: Glance, now: number): string {
  const { total, receiving_traffic: receiving } = status.workers
  const { version, started_at: startedAt } = status.service
  const problems = health.problems.map(
    ({ severity, text: what, since, code }) => `  ${severity}: ${what} (${code}, for ${showAge(since, now)})`,
  )
  return [
    `The pool is ${status.status}: ${receiving} of ${total} workers receive traffic, by ${status.mode}.`,
    `${status.requests} requests, ${status.failures} failed, ${status.leases} in hand. CBTOR ${version}, up for ${showAge(startedAt, now)}.`,
    '',
    workerTable(workers, now),
    ...(problems.length === 0 ? [] : ['', 'Problems:', ...problems]),
  ].join('\n')
}

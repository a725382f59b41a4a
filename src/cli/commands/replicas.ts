import { Command } from 'commander'
import type { Replicas } from '../../client/client.ts'
import { ask } from '../ask.ts'
import { type JsonFlags, type ServiceFlags, withJson, withService } from '../flags.ts'
import { writeJson } from '../json.ts'
import type { ServiceParts } from '../parts.ts'
import { showAge } from '../spans.ts'
import { formatTable } from '../table.ts'

interface Flags extends ServiceFlags, JsonFlags {}

export function replicasCommand(parts: ServiceParts): Command {
  return withJson(withService(new Command('replicas')))
    .addHelpText('after', '\nExamples:\n  cbtor replicas\n  cbtor replicas --json')
    .action(async (flags: Flags) => {
      const answer = await ask(flags, parts, (api, signal) => api.replicas(signal))
      if (flags.json) writeJson(parts.out, answer)
      else parts.out.write(`${table(answer, parts.clock.now())}\n${storeLine(answer, parts.clock.now())}\n`)
    })
}

function table({ replicas }: Replicas, now: number): string {
  return formatTable(
    ['replica', 'version', 'up for', 'heals', ''],
    replicas.map(({ name, version, started_at: at, self, heals }) => [
      ...[name, version, showAge(at, now), String(heals), self ? 'answers' : ''],
    ]),
  )
}

function storeLine({ store }: Replicas, now: number): string {
  const { kind, up, down_since: since, pending } = store
  if (kind === 'embedded') return 'The store is embedded: this gateway is alone.'
  const state = up || since === null ? 'answers' : `has not answered for ${showAge(since, now)}`
  return `The shared store ${state}; ${pending} change${pending === 1 ? '' : 's'} to be written.`
}

import { Command } from 'commander'
import type { ApiClient, Session } from '../../client/client.ts'
import { ask } from '../ask.ts'
import { type JsonFlags, type ServiceFlags, withJson, withService } from '../flags.ts'
import { writeJson } from '../json.ts'
import type { ServiceParts } from '../parts.ts'
import { showAge, showCountdown } from '../spans.ts'
import { formatTable } from '../table.ts'

type Flags = ServiceFlags & JsonFlags

export function sessionsCommand(parts: ServiceParts): Command {
  return new Command('sessions')
    .addCommand(listCommand(parts))
    .addCommand(
      ofSession(parts, 'show', 'show a session', {
        order: (api, key, signal) => api.session(key, signal),
        tell: (session, now) => `${table([session], now)}\n`,
      }),
    )
    .addCommand(
      ofSession(
        parts,
        'rotate',
        'give a session other circuits, and so likely another exit, from the next request on',
        {
          order: (api, key, signal) => api.rotateSession(key, signal),
          tell: ({ key }) => `${key} has a new identity.\n`,
        },
      ),
    )
    .addCommand(
      ofSession(parts, 'end', 'forget a session, with its circuits and connections', {
        order: (api, key, signal) => api.endSession(key, signal),
        tell: ({ key }) => `${key} is ended.\n`,
      }),
    )
    .addHelpText('after', '\nExamples:\n  cbtor sessions list\n  cbtor sessions rotate my-session-123')
}

function listCommand(parts: ServiceParts): Command {
  return withJson(withService(new Command('list')))
    .description('show the sessions of the key, or all of them with the key of an admin')
    .addHelpText('after', '\nExample:\n  cbtor sessions list --json')
    .action(async (flags: Flags) => {
      const answer = await ask(flags, parts, (api, signal) => api.sessions(signal))
      if (flags.json) writeJson(parts.out, answer)
      else parts.out.write(`${table(answer.sessions, parts.clock.now())}\n`)
    })
}

function ofSession(
  parts: ServiceParts,
  name: string,
  description: string,
  doing: {
    order(api: ApiClient, key: string, signal: AbortSignal): Promise<Session>
    tell(session: Session, now: number): string
  },
): Command {
  return withJson(withService(new Command(name)))
    .description(description)
    .argument('<key>', 'the sticky key of the session')
    .addHelpText('after', `\nExample:\n  cbtor sessions ${name} my-session-123`)
    .action(async (key: string, flags: Flags) => {
      const session = await ask(flags, parts, (api, signal) => doing.order(api, key, signal))
      if (flags.json) writeJson(parts.out, session)
      else parts.out.write(doing.tell(session, parts.clock.now()))
    })
}

function table(sessions: readonly Session[], now: number): string {
  const rows = sessions.map(({ key, owner, worker, exit, created_at, last_used_at, requests, moved, expires_at }) => [
    ...[key, owner, worker ?? ''],
    exit === null ? '' : `${exit.nickname}${exit.country === null ? '' : ` (${exit.country})`}`,
    ...[showAge(created_at, now), `${showAge(last_used_at, now)} ago`, String(requests), String(moved)],
    showCountdown(expires_at, now),
  ])
  const header = ['session', 'key', 'worker', 'exit', 'age', 'used', 'requests', 'moved', 'ends']
  return formatTable(header, rows)
}

import { readFileSync } from 'node:fs'
import { join } from 'node:path'
import { Command, InvalidArgumentError, Option } from 'commander'
import { readBoxes } from '../../boxes/box-file.ts'
import { createLogger } from '../../lib/log.ts'
import { tunnelsAtHand } from '../../tunnel/at-hand.ts'
import { requireNetAdmin } from '../../tunnel/capability.ts'
import { HAND_OVER_TOOLS, type HandOverTool, handOver } from '../../tunnel/hand-over.ts'
import { DEFAULT_SOCKET } from '../../tunnel/helper/protocol.ts'
import { TunnelServer } from '../../tunnel/helper/serve.ts'
import { type TunnelSpec, tunnelSpec } from '../../tunnel/spec.ts'
import { SystemHost } from '../../tunnel/system-host.ts'
import type { TunnelStatus } from '../../tunnel/tunnels.ts'
import { type JsonFlags, type StateFlags, withState } from '../flags.ts'
import { writeJson } from '../json.ts'
import type { CliParts } from '../parts.ts'
import { stateOf } from '../state-directory.ts'
import { formatTable } from '../table.ts'
import { untilAborted } from '../until-aborted.ts'

interface TunnelFlags extends StateFlags, JsonFlags {
  readonly socket?: string
}

interface ServeFlags extends TunnelFlags {
  readonly group?: number
  readonly keep?: true
}

type Change = 'up' | 'down' | 'reconnect'

const CHANGES: Record<Change, { readonly about: string; readonly done: string }> = {
  up: { about: 'bring tunnels up, or mend what is missing of them', done: 'is up' },
  down: { about: 'take tunnels down and leave nothing of them', done: 'is down' },
  reconnect: { about: 'resolve the names of boxes again, and shake hands anew', done: 'is connected' },
}

export function tunnelCommand(parts: CliParts): Command {
  return new Command('tunnel')
    .addCommand(changeCommand('up', parts))
    .addCommand(changeCommand('down', parts))
    .addCommand(changeCommand('reconnect', parts))
    .addCommand(
      forBoxes(new Command('status').description('what there is of the tunnels, and what is wrong with them'))
        .option('--json', 'as JSON')
        .addHelpText('after', '\nExample:\n  cbtor tunnel status')
        .action((ids: string[], flags: TunnelFlags) => showStatus(ids, flags, parts)),
    )
    .addCommand(serveCommand(parts))
    .addCommand(configCommand(parts))
    .addHelpText('after', '\nExamples:\n  cbtor tunnel status\n  sudo cbtor tunnel up tor01')
}

function changeCommand(change: Change, parts: CliParts): Command {
  return forBoxes(new Command(change).description(CHANGES[change].about))
    .option('--json', 'as JSON')
    .addHelpText('after', `\nExample:\n  sudo cbtor tunnel ${change} tor01`)
    .action((ids: string[], flags: TunnelFlags) => changeTunnels(change, ids, flags, parts))
}

function serveCommand(parts: CliParts): Command {
  return withState(new Command('serve'))
    .description('change the network for a service that may not: run this as root, and the service as anybody')
    .option('--socket <path>', 'where the service asks', DEFAULT_SOCKET)
    .option('--group <name>', 'group that may ask as well as the owner', parseGroup)
    .option('--keep', 'leave the tunnels up at the end')
    .addHelpText('after', '\nExample:\n  sudo cbtor tunnel serve --state /var/lib/cbtor --group cbtor')
    .action((flags: ServeFlags) => serve(flags, parts))
}

function configCommand(parts: CliParts): Command {
  return withState(new Command('config'))
    .description("a tunnel's configuration for another tool that is to make its interface")
    .argument('<id>', 'the box')
    .addOption(new Option('--for <tool>', 'the tool').choices(HAND_OVER_TOOLS).makeOptionMandatory())
    .option('--with-keys', 'with the private key of this machine')
    .addHelpText(
      'after',
      '\nExample:\n  cbtor tunnel config tor01 --for wg-quick --with-keys >/etc/wireguard/wg-tor01.conf',
    )
    .action((id: string, flags: TunnelFlags & { readonly for: HandOverTool; readonly withKeys?: true }) => {
      const [spec] = specsOf([id], stateOf(flags, parts))
      if (spec) parts.out.write(handOver(spec, flags.for, { withKeys: flags.withKeys ?? false }))
    })
}

function forBoxes(command: Command): Command {
  return withState(command)
    .argument('[id...]', 'the boxes; all by default')
    .option('--socket <path>', 'where the tunnel helper serves; where there is none, this is done at once and as root')
}

async function changeTunnels(
  change: Change,
  ids: readonly string[],
  flags: TunnelFlags,
  parts: CliParts,
): Promise<void> {
  const state = stateOf(flags, parts)
  const specs = specsOf(ids, state)
  const tunnels = await tunnelsAtHand({ ...parts, ...flags, state }, parts.signal)
  const results: { box: string; done: boolean; error: string | null }[] = []
  for (const { id, n } of specs) {
    try {
      await tunnels[change](n, parts.signal)
      results.push({ box: id, done: true, error: null })
      if (!flags.json) parts.out.write(`The tunnel to ${id} ${CHANGES[change].done}\n`)
    } catch (error) {
      if (parts.signal.aborted) throw error
      const reason = error instanceof Error ? error.message : String(error)
      results.push({ box: id, done: false, error: reason })
      parts.err.write(`${id}: ${reason}\n`)
    }
  }
  if (flags.json) writeJson(parts.out, results)
  const failed = results.filter(({ done }) => !done).length
  if (failed > 0) throw new Error(`${failed} of ${specs.length} could not be done`)
}

async function showStatus(ids: readonly string[], flags: TunnelFlags, parts: CliParts): Promise<void> {
  const state = stateOf(flags, parts)
  const specs = specsOf(ids, state)
  const tunnels = await tunnelsAtHand({ ...parts, ...flags, state }, parts.signal)
  const found: { spec: TunnelSpec; status: TunnelStatus }[] = []
  for (const spec of specs) found.push({ spec, status: await tunnels.status(spec.n, parts.signal) })
  parts.out.write(
    flags.json
      ? `${JSON.stringify(
          found.map(({ spec, status }) => document(spec, status)),
          null,
          2,
        )}\n`
      : `${table(found)}\n`,
  )
  const wrong = found.filter(({ status }) => status.problems.length > 0)
  if (!flags.json) {
    for (const { spec, status } of wrong)
      for (const problem of status.problems) parts.out.write(`${spec.id}: ${problem}\n`)
  }
  if (wrong.length > 0) throw new Error(`Something is wrong with ${wrong.length} of ${found.length} tunnels`)
}

async function serve(flags: ServeFlags, parts: CliParts): Promise<void> {
  requireNetAdmin()
  const { clock, signal } = parts
  const logger = createLogger('info', parts.err)
  const { socket: socketPath = DEFAULT_SOCKET, group: groupId, keep = false } = flags
  const state = stateOf(flags, parts)
  const host = new SystemHost({ clock, onProblem: (message) => logger.warn({}, message) })
  const options = { socketPath, state, keep, host, clock, logger, ...(groupId !== undefined && { groupId }) }
  await using _server = await TunnelServer.start(options, signal)
  logger.info({ socket: socketPath, state }, 'Serving tunnels')
  await untilAborted(signal)
}

/** Throws when a box is not there. */
function specsOf(ids: readonly string[], state: string): readonly TunnelSpec[] {
  const specs = readBoxes(state).map(tunnelSpec)
  const known = specs.map(({ id }) => id).join(', ')
  for (const id of ids) {
    if (specs.some((spec) => spec.id === id)) continue
    throw new Error(
      `There is no box ${JSON.stringify(id.slice(0, 64))} in ${join(state, 'boxes')}; ${known === '' ? 'there is none at all' : `there are ${known}`}`,
    )
  }
  if (specs.length === 0)
    throw new Error(`There is no box in ${join(state, 'boxes')}; make one a worker with: cbtor workers install`)
  return ids.length === 0 ? specs : specs.filter(({ id }) => ids.includes(id))
}

function document({ id, n, interfaceName }: TunnelSpec, status: TunnelStatus): Record<string, unknown> {
  return {
    box: id,
    tunnel: n,
    interface: interfaceName,
    is_up: status.isUp,
    handshake_age_ms: status.handshakeAgeMs ?? null,
    rx_bytes: status.rxBytes,
    tx_bytes: status.txBytes,
    kill_switch: status.killSwitch,
    default_route: status.defaultRoute,
    rule: status.rule,
    lock: status.lock,
    problems: status.problems,
  }
}

function table(found: readonly { readonly spec: TunnelSpec; readonly status: TunnelStatus }[]): string {
  const is = (value: boolean) => (value ? 'yes' : 'NO')
  const header = ['box', 'interface', 'up', 'handshake', 'received', 'sent', 'route', 'kill switch', 'rule', 'lock']
  const rows = found.map(({ spec, status }) => [
    spec.id,
    spec.interfaceName,
    is(status.isUp),
    status.handshakeAgeMs === undefined ? 'never' : `${Math.round(status.handshakeAgeMs / 1000)} s ago`,
    `${status.rxBytes} B`,
    `${status.txBytes} B`,
    is(status.defaultRoute),
    is(status.killSwitch),
    is(status.rule),
    is(status.lock),
  ])
  return formatTable(header, rows)
}

/** By name or number. */
function parseGroup(text: string): number {
  if (/^\d{1,9}$/.test(text)) return Number(text)
  const line = readFileSync('/etc/group', 'utf8')
    .split('\n')
    .find((entry) => entry.startsWith(`${text}:`))
  const id = line?.split(':')[2]
  if (id === undefined || !/^[a-z_][a-z0-9_-]*$/i.test(text)) throw new InvalidArgumentError('There is no such group.')
  return Number(id)
}

import { Command } from 'commander'
import type { ApiClient, NewCircuits, NewCircuitsPending, Worker } from '../../client/client.ts'
import { parseIsoTime } from '../../lib/iso-time.ts'
import { ask } from '../ask.ts'
import { confirmed } from '../confirmed.ts'
import { type JsonFlags, type ServiceFlags, withJson, withService, withYes, type YesFlags } from '../flags.ts'
import { writeJson } from '../json.ts'
import type { ServiceParts } from '../parts.ts'
import { showMs, showSpan } from '../spans.ts'
import { visible } from '../visible.ts'
import { workerTable } from '../worker-table.ts'
import { workerText } from '../worker-text.ts'
import { type BoxParts, boxCommands } from './box-commands.ts'

interface Flags extends ServiceFlags, JsonFlags, YesFlags {
  readonly force?: true
  readonly wait?: boolean
}

type Order = (api: ApiClient, id: string, signal: AbortSignal, flags: Flags) => Promise<Worker>

interface OrderOptions {
  readonly about: string
  readonly order: Order
  tell(worker: Worker): string
  /** Asked before, of what costs something. */
  readonly question?: (ids: string) => string
}

const ID = 'a worker: its id (tor01) or its number (1)'

export function workersCommand(parts: ServiceParts & BoxParts): Command {
  const command = new Command('workers').addCommand(listCommand(parts)).addCommand(showCommand(parts))
  for (const [name, options] of Object.entries(ORDERS)) command.addCommand(orderCommand(name, options, parts))
  command.addCommand(newnymCommand(parts))
  for (const each of boxCommands(parts)) command.addCommand(each)
  return command.addHelpText(
    'after',
    '\nWhat costs something (stop, restart, reboot) is asked for at a terminal; --yes answers.\n' +
      '\nExamples:\n  cbtor workers list\n  cbtor workers drain tor02\n  cbtor workers restart tor01 --yes\n' +
      '  cbtor workers install root@192.0.2.11 --dry-run',
  )
}

const ORDERS: Readonly<Record<string, OrderOptions>> = {
  start: {
    about: 'start the Tor of a worker that was stopped, and let it have requests',
    order: (api, id, signal) => api.startTor(id, signal),
    tell: ({ id, process }) => `${id} is ${process.state}`,
  },
  stop: {
    about: 'stop the Tor of a worker, until it is started again; its requests break off and go elsewhere',
    order: (api, id, signal) => api.stopTor(id, signal),
    tell: ({ id }) => `${id} is stopped`,
    question: (ids) => `Stop ${ids}? Its requests break off, and it stays stopped.`,
  },
  restart: {
    about: 'restart the Tor of a worker; its requests break off and go elsewhere',
    order: (api, id, signal) => api.restartTor(id, signal),
    tell: ({ id, state }) => `${id} is restarted, and ${state}`,
    question: (ids) => `Restart ${ids}? Its requests break off.`,
  },
  drain: {
    about: 'take a worker out of the pool; its running requests finish',
    order: (api, id, signal, { force }) => api.drain(id, { ...(force && { force }) }, signal),
    tell: ({ id, leases }) => `${id} is drained${leases === 0 ? '' : `; ${leases} requests finish`}`,
  },
  enable: {
    about: 'put a worker back into the pool',
    order: (api, id, signal) => api.enable(id, signal),
    tell: ({ id, state }) => `${id} is enabled, and ${state}`,
  },
  reboot: {
    about: 'reboot the box of a worker (openwrt); done when it is seen to have booted',
    order: (api, id, signal) => api.rebootBox(id, signal),
    tell: ({ id, state }) => `${id} has rebooted, and is ${state}`,
    question: (ids) => `Reboot the box of ${ids}? Everything on it breaks off.`,
  },
}

function orderCommand(name: string, { about, order, tell, question }: OrderOptions, parts: ServiceParts): Command {
  const command = withJson(withService(new Command(name)))
    .description(about)
    .argument('<worker...>', ID)
  if (question) withYes(command)
  if (name === 'drain') command.option('--force', 'even if no other worker receives traffic')
  return command
    .addHelpText('after', `\nExample:\n  cbtor workers ${name} tor01${question ? ' --yes' : ''}`)
    .action(async (ids: readonly string[], flags: Flags) => {
      if (question) await confirmed(question(ids.join(', ')), flags, parts)
      const workers: Worker[] = []
      for (const id of ids) {
        const worker = await ask(flags, parts, (api, signal) => order(api, id, signal, flags))
        workers.push(worker)
        if (!flags.json) parts.out.write(`${tell(worker)}.\n`)
      }
      if (flags.json) writeJson(parts.out, { workers })
    })
}

function listCommand(parts: ServiceParts): Command {
  return withJson(withService(new Command('list')))
    .description('show the workers, a line each')
    .addHelpText('after', '\nExample:\n  cbtor workers list')
    .action(async (flags: Flags) => {
      const answer = await ask(flags, parts, (api, signal) => api.workers(signal))
      if (flags.json) writeJson(parts.out, answer)
      else parts.out.write(`${workerTable(answer.workers, parts.clock.now())}\n`)
    })
}

function showCommand(parts: ServiceParts): Command {
  return withJson(withService(new Command('show')))
    .description('show a worker, with its circuits, guards and box')
    .argument('<worker>', ID)
    .addHelpText('after', '\nExample:\n  cbtor workers show tor01')
    .action(async (id: string, flags: Flags) => {
      const worker = await ask(flags, parts, (api, signal) => api.worker(id, signal))
      if (flags.json) writeJson(parts.out, worker)
      else parts.out.write(`${visible(workerText(worker, parts.clock.now()))}\n`)
    })
}

function newnymCommand(parts: ServiceParts): Command {
  return withJson(withService(new Command('newnym')))
    .description('new circuits for all later requests of a worker; Tor does it once in 10 s')
    .argument('<worker...>', ID)
    .option('--no-wait', 'do not wait until Tor has acted')
    .addHelpText(
      'after',
      '\nThey need not have other exits. For another one, give a session a new identity: cbtor sessions rotate\n' +
        '\nExample:\n  cbtor workers newnym tor01',
    )
    .action(async (ids: readonly string[], flags: Flags) => {
      const options = flags.wait ? {} : { wait_ms: 0 }
      const orders = await ask(flags, parts, (api, signal) =>
        Promise.all(ids.map((id) => api.newCircuits(id, options, signal))),
      )
      if (flags.json) writeJson(parts.out, { workers: orders })
      else for (const order of orders) parts.out.write(`${showRenewal(order, parts.clock.now())}\n`)
    })
}

function showRenewal(order: NewCircuits | NewCircuitsPending, now: number): string {
  if ('acts_at' in order) {
    const ms = Math.max(0, parseIsoTime(order.acts_at) - now)
    return `${order.worker} gets new circuits in ${showSpan(ms)}.`
  }
  const names = (exits: NewCircuits['exits_after']) =>
    exits.map(({ nickname, country }) => (country === null ? nickname : `${nickname} (${country})`)).join(', ') ||
    'none yet'
  return `${order.worker} has new circuits after ${showMs(order.took_ms)}. Exits before: ${names(order.exits_before)}; now: ${names(order.exits_after)}.`
}

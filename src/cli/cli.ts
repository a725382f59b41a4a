/**
 * The command line. Each command is a row of COMMANDS and a module in `commands/` that builds it. Only the module of the command
 * that is called is loaded: the help of the program shows rows alone, in a tenth of the time. To add a command, add its row
 *
 *   name: { group: 'pool', summary: 'what it does', load: async () => (await import('./commands/name.ts')).nameCommand },
 *
 * where `nameCommand(parts: CommandParts)` returns a commander `Command` of that name; the summary becomes its description. One that
 * speaks to a service takes `withService()` of `flags.ts` and `parts.connect(flags)`. Dynamic imports are for this file and `main.ts`.
 */
import { Command, CommanderError } from 'commander'
import type { ApiClient } from '../client/client.ts'
import { EXIT } from './exit-with.ts'
import type { CliParts, CommandParts, DemoParts, WorkParts } from './parts.ts'
import { versionOf } from './version.ts'
import { visible } from './visible.ts'

const GROUPS = {
  service: 'The service:',
  requests: 'Requests:',
  pool: 'The pool:',
  tools: 'More:',
} as const

interface CommandRow {
  readonly group: keyof typeof GROUPS
  readonly summary: string
  readonly alias?: string
  load(): Promise<(parts: CommandParts) => Command>
}

const COMMANDS: Readonly<Record<string, CommandRow>> = {
  up: {
    group: 'service',
    summary: 'run the service: the pool of workers, the API and the proxy ports',
    load: async () => (await import('./commands/up.ts')).upCommand,
  },
  demo: {
    group: 'service',
    summary: 'the whole service on a private Tor network on this machine, with sample fetches',
    load: async () => (await import('./commands/demo.ts')).demoCommand,
  },
  drill: {
    group: 'service',
    summary: 'kill, freeze and cut off the workers of a demo under load, and tell what was lost',
    load: async () => (await import('./commands/drill.ts')).drillCommand,
  },
  doctor: {
    group: 'service',
    summary: 'look at this installation and tell what is right, what is wrong and how to mend it; changes nothing',
    load: async () => (await import('./commands/doctor.ts')).doctorCommand,
  },
  testnet: {
    group: 'service',
    summary: 'a private Tor network in a box',
    load: async () => (await import('./commands/testnet.ts')).testnetCommand,
  },
  config: {
    group: 'service',
    summary: 'the configuration: check it, show it, apply it to a running service; its schema for editors',
    load: async () => (await import('./commands/config.ts')).configCommand,
  },
  keys: {
    group: 'service',
    summary: 'the keys of a running service: who may use it, and for what',
    load: async () => (await import('./commands/keys.ts')).keysCommand,
  },
  dashboard: {
    group: 'service',
    summary: 'print the address of the page, and a key for it that is good for 12 hours',
    load: async () => (await import('./commands/dashboard.ts')).dashboardCommand,
  },
  fetch: {
    group: 'requests',
    summary: 'fetch a URL through Tor, as curl would',
    load: async () => (await import('./commands/fetch.ts')).fetchCommand,
  },
  sessions: {
    group: 'requests',
    summary: 'sticky keys that are in use: see, rotate and end them',
    load: async () => (await import('./commands/sessions.ts')).sessionsCommand,
  },
  jobs: {
    group: 'requests',
    summary: 'fetches that take their time: onion services that are slow, or down for hours',
    load: async () => (await import('./commands/jobs.ts')).jobsCommand,
  },
  mcp: {
    group: 'requests',
    summary: 'the tools of the service for language models, over stdin and stdout (MCP)',
    load: async () => (await import('./commands/mcp.ts')).mcpCommand,
  },
  status: {
    group: 'pool',
    summary: 'the pool at a glance: workers, figures, problems',
    load: async () => (await import('./commands/status.ts')).statusCommand,
  },
  top: {
    group: 'pool',
    summary: 'the pool as it goes, on the whole terminal',
    load: async () => (await import('./commands/top.ts')).topCommand,
  },
  workers: {
    group: 'pool',
    alias: 'worker',
    summary: 'see workers, order them about, and turn OpenWrt boxes into workers',
    load: async () => (await import('./commands/workers.ts')).workersCommand,
  },
  mode: {
    group: 'pool',
    summary: 'show how the pool chooses a worker, or choose it',
    load: async () => (await import('./commands/mode.ts')).modeCommand,
  },
  endpoints: {
    group: 'pool',
    summary: 'what the checks of the workers came to',
    load: async () => (await import('./commands/endpoints.ts')).endpointsCommand,
  },
  replicas: {
    group: 'pool',
    summary: 'the gateways that share the pool',
    load: async () => (await import('./commands/replicas.ts')).replicasCommand,
  },
  events: {
    group: 'pool',
    summary: 'what happened, and what happens',
    load: async () => (await import('./commands/events.ts')).eventsCommand,
  },
  warmup: {
    group: 'pool',
    summary: 'fetch a check endpoint through every worker of a running service, so that circuits are built',
    load: async () => (await import('./commands/warmup.ts')).warmupCommand,
  },
  tunnel: {
    group: 'pool',
    summary: 'the WireGuard tunnels to boxes, on this machine',
    load: async () => (await import('./commands/tunnel.ts')).tunnelCommand,
  },
  completion: {
    group: 'tools',
    summary: 'a script by which a shell completes command lines of cbtor',
    load: async () => (await import('./commands/completion.ts')).completionCommand,
  },
}

const HELP = `
Examples:
  cbtor up                                  four workers on the public Tor network
  cbtor fetch https://check.torproject.org/api/ip
  cbtor status

Exit codes: 0 done, 1 failed, 2 wrong usage or configuration, 3 the pool is degraded (status), 4 no service answers,
5 not fetched, but later it may be (fetch), 6 the shared store cannot be had (up), 22 the target refused (fetch --fail),
130 interrupted.

"cbtor COMMAND --help" has the options of a command, with examples.`

/** Runs one command line (without the program's own name) and returns the exit code. Errors go to `parts.err`. */
export async function runCli(argv: readonly string[], parts: DemoParts): Promise<number> {
  let api: ApiClient | undefined
  const connect: CommandParts['connect'] = async (flags) => {
    const { serviceClient } = await import('./service-client.ts')
    api = serviceClient(flags, parts)
    return api
  }
  const words = argv.filter((word) => !word.startsWith('-'))
  const called = words[0] === 'help' ? words[1] : words[0]
  const isCalled = (...names: (string | undefined)[]) => called !== undefined && names.includes(called)
  const work: Omit<WorkParts, keyof CliParts> = {
    connect,
    boxWork: async () => (await import('./box-work.ts')).boxWork,
    fetchWork: async () => (await import('./fetch-work.ts')).runFetch,
    program: () => createProgram(own, () => true),
    topWork: async () => (await import('./top/top-work.ts')).runTop,
  }
  const own = { ...parts, ...work }
  const program = await createProgram(own, isCalled)

  try {
    await program.parseAsync(argv, { from: 'user' })
    return EXIT.ok
  } catch (error) {
    if (error instanceof CommanderError) return error.exitCode === 0 ? EXIT.ok : EXIT.usage
    if (parts.signal.aborted) return EXIT.interrupted
    const { explainFailure } = await import('./failure.ts')
    const { exitCode, text } = await explainFailure(error, api)
    if (text !== '') parts.err.write(`cbtor: ${visible(text)}\n`)
    return exitCode
  }
}

/** With what is below those commands that are called; of the others there is but the row. */
export async function createProgram(
  parts: CommandParts,
  isCalled: (name: string, alias: string | undefined) => boolean,
): Promise<Command> {
  const program = new Command('cbtor')
    .configureHelp({ subcommandTerm: (command) => command.name() })
    .commandsGroup(GROUPS.tools)
    .helpCommand('help [command]', 'the same as COMMAND --help')
    .description('A self-hosted gateway to Tor: any URL through a load-balanced pool of Tor workers that heals itself.')
    .version(versionOf(), '-V, --version', 'show the version')
    .addHelpText('after', HELP)
  for (const [name, { group, summary, alias, load }] of Object.entries(COMMANDS)) {
    const command = isCalled(name, alias) ? (await load())(parts) : new Command(name)
    command.helpGroup(GROUPS[group]).summary(summary)
    if (command.description() === '') command.description(summary)
    if (alias !== undefined) command.alias(alias)
    program.addCommand(command)
  }
  endWithThrow(program, parts)
  return program
}

/** Commands do not hand on such settings to those that were added to them before. */
function endWithThrow(command: Command, parts: CliParts): void {
  command
    .exitOverride()
    .configureOutput({ writeOut: (text) => parts.out.write(text), writeErr: (text) => parts.err.write(visible(text)) })
  for (const each of command.commands) endWithThrow(each.helpCommand(false), parts)
}

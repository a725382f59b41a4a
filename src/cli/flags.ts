/** Options that commands have in common. Light: nothing is loaded for a help but what shows it. */
import type { Command } from 'commander'

export interface StateFlags {
  readonly config?: string
  readonly state?: string
}

export interface ServiceFlags extends StateFlags {
  readonly api?: string
}

export interface JsonFlags {
  readonly json?: true
}

export interface YesFlags {
  readonly yes?: true
}

/** For a command that works on the state directory of a service, without being one. `config`: what it reads the file for. */
export function withState(command: Command, config = 'YAML file, for its field "state"'): Command {
  return command
    .option('-c, --config <file>', config)
    .option('--state <directory>', 'the state directory of the service')
}

/** For a command that speaks to a running service. */
export function withService(command: Command): Command {
  return withState(command, 'configuration file (YAML) of the service').option(
    '--api <url>',
    'where the service listens, if not where the configuration says',
  )
}

/** The document of the API, for programs. */
export function withJson(command: Command): Command {
  return command.option('--json', 'as JSON')
}

/** For what costs something: see `confirmed()`. */
export function withYes(command: Command): Command {
  return command.option('-y, --yes', 'without a question; none is asked where nobody sits at a terminal')
}

import { resolve } from 'node:path'
import type { Command } from 'commander'
import { readConfig } from '../config/read-config.ts'
import type { CliParts } from './parts.ts'

export interface StateFlags {
  readonly config?: string
  readonly state?: string
}

/** For a command that works on the state directory of a service, without being one. `config`: what it reads the file for. */
export function withState(command: Command, config = 'YAML file, for its field "state"'): Command {
  return command
    .option('-c, --config <file>', config)
    .option('--state <directory>', 'the state directory of the service')
}

/** What `readConfig` takes of them. */
export function configFlags({ config, state }: StateFlags): Readonly<Record<string, string>> {
  return { ...(config !== undefined && { config }), ...(state !== undefined && { state: resolve(state) }) }
}

/** The state directory, absolute, as `cbtor up` has it. Throws `ConfigError`. */
export function stateOf(flags: StateFlags, { env }: Pick<CliParts, 'env'>): string {
  return readConfig(configFlags(flags), env).state
}

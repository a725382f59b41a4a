import { resolve } from 'node:path'
import { readConfig } from '../config/read-config.ts'
import type { StateFlags } from './flags.ts'
import type { CliParts } from './parts.ts'

/** What `readConfig` takes of them. */
export function configFlags({ config, state }: StateFlags): Readonly<Record<string, string>> {
  return { ...(config !== undefined && { config }), ...(state !== undefined && { state: resolve(state) }) }
}

/** The state directory, absolute, as `cbtor up` has it. Throws `ConfigError`. */
export function stateOf(flags: StateFlags, { env }: Pick<CliParts, 'env'>): string {
  return readConfig(configFlags(flags), env).state
}

import { Command } from 'commander'
import { ApiProblem } from '../../client/client.ts'
import { ConfigError, type ConfigFault, showPlace } from '../../config/config-error.ts'
import { configJsonSchemaText } from '../../config/json-schema.ts'
import { lookAtFiles } from '../../config/named-files.ts'
import { type LoadedConfig, loadConfig } from '../../config/read-config.ts'
import { showConfig, shownFields } from '../../config/show-config.ts'
import { unwise, type Warning } from '../../config/unwise.ts'
import { EXIT, ExitWith } from '../exit-with.ts'
import { type JsonFlags, type ServiceFlags, withJson, withService } from '../flags.ts'
import { writeJson } from '../json.ts'
import type { ServiceParts } from '../parts.ts'
import { visible } from '../visible.ts'

interface FileFlags extends JsonFlags {
  readonly config?: string
}

export function configCommand(parts: ServiceParts): Command {
  return new Command('config')
    .addCommand(checkCommand(parts))
    .addCommand(showCommand(parts))
    .addCommand(schemaCommand(parts))
    .addCommand(reloadCommand(parts))
    .addHelpText(
      'after',
      '\nA field such as health.check_interval is also set by CBTOR_HEALTH_CHECK_INTERVAL, which wins over the file.',
    )
}

function checkCommand(parts: ServiceParts): Command {
  return withJson(withFile(new Command('check')))
    .description('tell everything that is wrong or unwise in a configuration; starts nothing')
    .addHelpText(
      'after',
      '\nExit codes: 0 nothing is wrong, 2 there are faults. What is unwise is told, and no fault.' +
        '\n\nExample:\n  cbtor config check /etc/cbtor.yaml',
    )
    .action(async (file: string | undefined, flags: FileFlags) => {
      const { loaded, faults } = load(file, flags, parts)
      const files = loaded && (await lookAtFiles(loaded.config, parts.env))
      const placed = ({ field, message }: Warning) => ({ field, message, place: loaded?.placeOf(pathOf(field)) })
      const wrong = [...faults, ...(files?.faults ?? []).map(placed)]
      const odd = [...(loaded ? unwise(loaded.config) : []), ...(files?.warnings ?? [])].map(placed)
      if (loaded?.isEmpty)
        odd.unshift({ field: '', place: undefined, message: 'the file says nothing: all is as it is by default' })

      if (flags.json) {
        const plain = ({ field, message, place }: ConfigFault) => ({ field, message, ...(place && { place }) })
        const told = { ok: wrong.length === 0, faults: wrong.map(plain), warnings: odd.map(plain) }
        writeJson(parts.out, told)
      } else {
        for (const each of odd) parts.err.write(`warning: ${line(each)}\n`)
        for (const each of wrong) parts.err.write(`${line(each)}\n`)
        if (wrong.length === 0) parts.out.write(`${loaded?.file ?? 'the configuration'}: nothing is wrong\n`)
      }
      if (wrong.length > 0) throw new ExitWith(EXIT.usage)
    })
}

function showCommand(parts: ServiceParts): Command {
  return withJson(withFile(new Command('show')))
    .description('the configuration as it holds, with where each value comes from; secrets are struck out')
    .addHelpText('after', '\nExample:\n  CBTOR_LOG=debug cbtor config show /etc/cbtor.yaml')
    .action((file: string | undefined, flags: FileFlags) => {
      const loaded = loadConfig(fileFlags(file, flags), parts.env)
      if (flags.json) writeJson(parts.out, shownFields(loaded))
      else parts.out.write(showConfig(loaded))
    })
}

function schemaCommand(parts: ServiceParts): Command {
  return new Command('schema')
    .description('the JSON Schema of the file, for editors')
    .addHelpText('after', '\nExample:\n  cbtor config schema > cbtor.schema.json')
    .action(() => void parts.out.write(configJsonSchemaText()))
}

function reloadCommand(parts: ServiceParts): Command {
  return withJson(withService(new Command('reload')))
    .description('have a running service read its file anew, and tell what it applied')
    .addHelpText(
      'after',
      '\nAs SIGHUP does. Of a file with faults nothing is applied. Workers that go finish their requests first.' +
        '\n\nExample:\n  cbtor config reload',
    )
    .action(async (flags: ServiceFlags & JsonFlags) => {
      const api = await parts.connect(flags)
      const reloaded = await api.reloadConfig(parts.signal).catch((error: unknown) => {
        throw withAllFaults(error)
      })
      if (flags.json) return writeJson(parts.out, reloaded)
      const { applied, workers, needs_restart: later, notes, unchanged } = reloaded
      for (const { field, from, to } of applied) parts.out.write(`${field}: ${shown(to)} (was ${shown(from)})\n`)
      for (const id of workers.added) parts.out.write(`worker ${id} is started\n`)
      for (const id of workers.removed) parts.out.write(`worker ${id} goes when its requests are done\n`)
      for (const id of workers.changed) parts.out.write(`worker ${id} is made anew when its requests are done\n`)
      for (const field of later) parts.out.write(`${field}: after a restart of the service\n`)
      for (const note of notes) parts.out.write(`${note}\n`)
      if (unchanged) parts.out.write('nothing has changed\n')
    })
}

function withFile(command: Command): Command {
  return command
    .argument('[file]', 'the configuration file (default: $CBTOR_CONFIG, or none)')
    .option('-c, --config <file>', 'the same')
}

function fileFlags(file: string | undefined, { config }: FileFlags): Record<string, string> {
  const path = file ?? config
  return path === undefined ? {} : { config: path }
}

function load(file: string | undefined, flags: FileFlags, { env }: ServiceParts) {
  try {
    const loaded: LoadedConfig = loadConfig(fileFlags(file, flags), env)
    return { loaded, faults: [] }
  } catch (error) {
    if (!(error instanceof ConfigError)) throw error
    return { loaded: undefined, faults: error.details }
  }
}

/** `workers.0.id`; a worker may be named beside it. */
function pathOf(field: string): readonly (string | number)[] {
  const names = field.replace(/ \(.*/, '').split('.')
  return names.map((name) => (/^\d+$/.test(name) ? Number(name) : name))
}

function line({ field, place, message }: ConfigFault): string {
  return visible([place && showPlace(place), field, message].filter(Boolean).join(': '))
}

function shown(value: unknown): string {
  if (value === null) return 'not said'
  return typeof value === 'string' ? value : JSON.stringify(value)
}

/** The sentence of a problem has the first fault; here are all of them. */
function withAllFaults(error: unknown): unknown {
  if (!(error instanceof ApiProblem) || error.problem.errors === undefined) return error
  const lines = error.problem.errors.map(({ path, message }) => `\n  ${path} ${message}`)
  return new ExitWith(EXIT.usage, `the service refuses the configuration and goes on as before:${lines.join('')}`)
}

import { Argument, Command } from 'commander'
import { MODES, type Mode } from '../../domain/exchange.ts'
import { ask } from '../ask.ts'
import { type JsonFlags, type ServiceFlags, withJson, withService } from '../flags.ts'
import { writeJson } from '../json.ts'
import type { ServiceParts } from '../parts.ts'

export function modeCommand(parts: ServiceParts): Command {
  return withJson(withService(new Command('mode')))
    .addArgument(new Argument('[mode]', 'the mode to choose from now on, also after a restart').choices(MODES))
    .addHelpText('after', '\nExamples:\n  cbtor mode\n  cbtor mode least_connections')
    .action(async (mode: Mode | undefined, flags: ServiceFlags & JsonFlags) => {
      const answer = await ask(flags, parts, (api, signal) =>
        mode === undefined ? api.mode(signal) : api.setMode(mode, signal),
      )
      if (flags.json) writeJson(parts.out, answer)
      else parts.out.write(`${answer.mode}\n`)
    })
}

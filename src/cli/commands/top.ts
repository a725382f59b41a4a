import { Command } from 'commander'
import { type JsonFlags, type ServiceFlags, withService } from '../flags.ts'
import type { CommandParts } from '../parts.ts'

export interface TopFlags extends ServiceFlags, JsonFlags {
  readonly once?: true
}

export function topCommand(parts: CommandParts): Command {
  return withService(new Command('top'))
    .option('--once', 'show it once and end, as is done where there is no terminal')
    .option('--json', 'the same once, as JSON')
    .addHelpText(
      'after',
      '\nKeys: q quits; s or the arrows to the sides choose what the workers are sorted by, r turns it round; the arrows up and down\n' +
        'choose a worker, d drains it, e enables it, n gives it new circuits. NO_COLOR is heeded.\n' +
        '\nExamples:\n  cbtor top\n  cbtor top --once | head -5',
    )
    .action(async (flags: TopFlags) => (await parts.topWork())(flags, parts))
}

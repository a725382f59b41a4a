import { Argument, Command } from 'commander'
import { bashCompletion } from '../completion/bash.ts'
import { commandTree, type TreeCommand } from '../completion/command-tree.ts'
import { fishCompletion } from '../completion/fish.ts'
import { zshCompletion } from '../completion/zsh.ts'
import type { CommandParts } from '../parts.ts'

const SHELLS = { bash: bashCompletion, zsh: zshCompletion, fish: fishCompletion } satisfies Readonly<
  Record<string, (root: TreeCommand) => string>
>

type Shell = keyof typeof SHELLS

export function completionCommand(parts: CommandParts): Command {
  return new Command('completion')
    .addArgument(new Argument('<shell>', 'for which shell').choices(Object.keys(SHELLS)))
    .addHelpText(
      'after',
      '\nIt completes commands, options and their words, files, and what a running service knows: workers, sessions, jobs, keys.\n' +
        '\nExamples:\n  source <(cbtor completion bash)          # into ~/.bashrc\n' +
        '  source <(cbtor completion zsh)           # into ~/.zshrc, behind compinit\n' +
        '  cbtor completion fish | source           # into ~/.config/fish/config.fish',
    )
    .action(async (shell: Shell) => {
      parts.out.write(SHELLS[shell](commandTree(await parts.program())))
    })
}

/** The reference in `docs/cli.md`, made of the commands as they are. */
import type { Argument, Command, Option } from 'commander'
import { createProgram } from '../../src/cli/cli.ts'

/** What stands before it on the page is written by hand. */
export const BEGINNING = '<!-- What follows is made of the commands themselves: node test/cli/write-cli-page.ts -->\n'

/** Explained once, at the top of the page. */
export const COMMON = ['--config', '--state', '--api', '--json', '--yes', '--help'] as const

const nothing = { write: () => true }

/** The whole command line. Nothing of it can be run. */
export async function wholeProgram(): Promise<Command> {
  const parts = { env: {}, out: nothing, err: nothing } as unknown as Parameters<typeof createProgram>[0]
  return await createProgram(parts, () => true)
}

export async function commandReference(): Promise<string> {
  const program = await wholeProgram()
  const sections = visibleBelow(program).flatMap((command) => sectionsOf(command, command.name(), 2))
  return `${BEGINNING}\n${sections.join('\n\n')}\n`
}

/** What is below it, but for `help`. */
export function visibleBelow(command: Command): readonly Command[] {
  return command
    .createHelp()
    .visibleCommands(command)
    .filter((each) => each.name() !== 'help')
}

/** What its help says behind its options: notes and examples. */
export function notesOf(command: Command): string {
  let all = ''
  command.configureOutput({ writeOut: (text) => (all += text) })
  command.outputHelp()
  return all.slice(command.helpInformation().length).trim()
}

function sectionsOf(command: Command, path: string, depth: number): readonly string[] {
  const below = visibleBelow(command)
  const usage = command.createHelp().commandUsage(command)
  const options = command.createHelp().visibleOptions(command)
  const own = options.filter(({ long }) => !COMMON.some((name) => name === long))
  const common = options.filter(({ long }) => long !== '--help' && COMMON.some((name) => name === long))
  const notes = notesOf(command)
  const args = command.registeredArguments.filter(({ description }) => description !== '')
  return [
    [
      `${'#'.repeat(depth)} ${path}`,
      `${sentence(command.description())}${below.length === 0 ? '' : ` ${list(below)}`}`,
      ...(below.length === 0 ? [`\`\`\`text\n${usage}\n\`\`\``] : []),
      ...(own.length + args.length === 0 || below.length > 0
        ? []
        : [
            [
              '| | is |',
              '|---|---|',
              ...args.map(
                (argument) =>
                  `| \`${nameOf(command, argument)}\` | ${cell(argument.description)}${choices(argument.argChoices)} |`,
              ),
              ...own.map(
                (option) =>
                  `| \`${option.flags}\` | ${cell(option.description)}${choices(option.argChoices)}${preset(option)} |`,
              ),
            ].join('\n'),
          ]),
      ...(common.length === 0 || below.length > 0
        ? []
        : [`And ${common.map(({ long }) => `\`${long}\``).join(', ')}.`]),
      ...(notes === '' ? [] : [`\`\`\`text\n${notes}\n\`\`\``]),
    ].join('\n\n'),
    ...below.flatMap((each) => sectionsOf(each, `${path} ${each.name()}`, depth + 1)),
  ]
}

function list(commands: readonly Command[]): string {
  return `Below it: ${commands.map((each) => `\`${each.name()}\``).join(', ')}.`
}

/** The first argument of a usage. */
function nameOf(command: Command, argument: Argument): string {
  const { registeredArguments } = command
  const names = command.usage().match(/[<[][^>\]]+[>\]]/g) ?? []
  return names.at(registeredArguments.indexOf(argument) - registeredArguments.length) ?? ''
}

function choices(words: readonly string[] | undefined): string {
  return words === undefined ? '' : `: ${words.map((word) => `\`${word}\``).join(', ')}`
}

function preset({ defaultValue, negate }: Option): string {
  return defaultValue === undefined || negate || typeof defaultValue === 'boolean' ? '' : `; \`${defaultValue}\``
}

function sentence(text: string): string {
  return `${text.charAt(0).toUpperCase()}${text.slice(1)}.`
}

function cell(text: string): string {
  return text.replaceAll('|', '\\|').replaceAll('<', '&lt;')
}

import type { Command, Option } from 'commander'

/** What a word may be. */
export type Value =
  | { readonly kind: 'words'; readonly words: readonly string[] }
  | { readonly kind: 'file' | 'directory' | 'worker' | 'session' | 'job' | 'key' | 'free' }

export interface TreeOption {
  /** As they are typed: `-o`, `--output`. */
  readonly names: readonly string[]
  readonly about: string
  /** Undefined for one that stands alone. */
  readonly value: Value | undefined
}

/** A command, as far as it can be completed. */
export interface TreeCommand {
  /** Its words: `cbtor keys create`. */
  readonly path: string
  readonly name: string
  readonly alias: string | undefined
  readonly about: string
  readonly commands: readonly TreeCommand[]
  readonly options: readonly TreeOption[]
  readonly arguments: readonly Value[]
}

/** What programs that complete command lines need of a command, and of all below it. */
export function commandTree(command: Command, path = command.name()): TreeCommand {
  const helper = command.createHelp()
  const below = helper.visibleCommands(command)
  return {
    path,
    name: command.name(),
    alias: command.alias() || undefined,
    about: oneLine(command.summary() || command.description()),
    commands: below.map((each) => commandTree(each, `${path} ${each.name()}`)),
    options: helper.visibleOptions(command).map(treeOption),
    arguments: command.registeredArguments.map((each) =>
      each.argChoices ? { kind: 'words', words: each.argChoices } : valueNamed(each.name(), path),
    ),
  }
}

/** The command and all below it, the command first. */
export function allCommands(command: TreeCommand): readonly TreeCommand[] {
  return [command, ...command.commands.flatMap(allCommands)]
}

function treeOption(option: Option): TreeOption {
  const names = [option.short, option.long].filter((name) => name !== undefined)
  const [, valueName] = /[<[]([^>\]]+?)(?:\.\.\.)?[>\]]/.exec(option.flags) ?? []
  if (valueName === undefined) return { names, about: oneLine(option.description), value: undefined }
  const isWorker = option.long === '--worker'
  const value: Value = option.argChoices
    ? { kind: 'words', words: option.argChoices }
    : valueNamed(isWorker ? 'worker' : option.long === '--sticky-key' ? 'session' : valueName, '')
  return { names, about: oneLine(option.description), value }
}

function valueNamed(name: string, path: string): Value {
  if (name === 'file' || name === 'path') return { kind: 'file' }
  if (name === 'directory') return { kind: 'directory' }
  if (name === 'worker') return { kind: 'worker' }
  if (name === 'session' || path.startsWith('cbtor sessions')) return { kind: 'session' }
  if (path.startsWith('cbtor jobs') && name === 'id') return { kind: 'job' }
  if (path.startsWith('cbtor keys') && name === 'id') return { kind: 'key' }
  return { kind: 'free' }
}

function oneLine(text: string): string {
  return text.replaceAll(/\s+/g, ' ')
}

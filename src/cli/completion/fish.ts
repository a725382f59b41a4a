import { allCommands, type TreeCommand, type TreeOption, type Value } from './command-tree.ts'
import { ASKED } from './known.ts'

/** A script for `cbtor completion fish | source`. */
export function fishCompletion(root: TreeCommand): string {
  const commands = allCommands(root)
  return `# Completion of cbtor for fish: cbtor completion fish | source
function __cbtor_at
    set -l at cbtor
    for word in (commandline -opc)[2..-1]
        switch "$at $word"
${commands.flatMap(stepsTo).join('\n')}
        end
    end
    test "$at" = "$argv[1]"
end
complete -c cbtor -f
${commands.flatMap(linesOf).join('\n')}
`
}

function stepsTo({ path, alias }: TreeCommand): readonly string[] {
  if (!path.includes(' ')) return []
  const names = [path, ...(alias === undefined ? [] : [`${path.slice(0, path.lastIndexOf(' '))} ${alias}`])]
  return [`            case ${names.map(fishQuoted).join(' ')}`, `                set at ${fishQuoted(path)}`]
}

function linesOf(command: TreeCommand): readonly string[] {
  const { path, commands, options, arguments: values } = command
  const here = `complete -c cbtor -n ${fishQuoted(`__cbtor_at "${path}"`)}`
  const [value] = values
  return [
    ...commands.map(({ name, about }) => `${here} -a ${fishQuoted(name)} -d ${fishQuoted(about)}`),
    ...options.map((option) => `${here}${optionOf(option)}`),
    ...(commands.length > 0 || value === undefined || value.kind === 'free' ? [] : [`${here}${choicesOf(value)}`]),
  ]
}

function optionOf({ names, about, value }: TreeOption): string {
  const flags = names.map((name) => (name.startsWith('--') ? ` -l ${name.slice(2)}` : ` -s ${name.slice(1)}`)).join('')
  const needs = value === undefined ? '' : value.kind === 'file' ? ' -r' : ' -x' // -x: files are no values of it
  return `${flags}${needs}${value === undefined ? '' : choicesOf(value)} -d ${fishQuoted(about)}`
}

function choicesOf(value: Value): string {
  const asked = ASKED[value.kind]
  if (value.kind === 'words') return ` -a ${fishQuoted(value.words.join(' '))}`
  if (value.kind === 'file') return ' -F'
  if (value.kind === 'directory') return " -a '(__fish_complete_directories)'"
  return asked === undefined ? '' : ` -a ${fishQuoted(`(${asked})`)}`
}

/** In single quotes a backslash is one only before a quote or another one. */
function fishQuoted(text: string): string {
  return `'${text.replaceAll('\\', '\\\\').replaceAll("'", "\\'")}'`
}

import { allCommands, type TreeCommand, type TreeOption, type Value } from './command-tree.ts'
import { ASKED, quoted } from './known.ts'

/** A script for `source <(cbtor completion zsh)`, or a file `_cbtor` in a directory of `fpath`. */
export function zshCompletion(root: TreeCommand): string {
  const commands = allCommands(root)
  return `#compdef cbtor
# Completion of cbtor for zsh: source <(cbtor completion zsh)
_cbtor() {
  local at=cbtor prev=\${words[CURRENT-1]} i
  local -a items
  for ((i = 2; i < CURRENT; i++)); do
    case "$at \${words[i]}" in
${commands.flatMap(stepsTo).join('\n')}
    esac
  done
  case "$at $prev" in
${commands.flatMap(valuesOf).join('\n')}
  esac
  if [[ \${words[CURRENT]} == -* ]]; then
    case $at in
${commands.map((command) => `      (${quoted(command.path)}) items=(${command.options.flatMap(itemsOf).join(' ')}) ;;`).join('\n')}
    esac
    _describe -o option items
    return
  fi
  case $at in
${commands.flatMap(wordsOf).join('\n')}
  esac
}
compdef _cbtor cbtor
`
}

function stepsTo({ path, alias }: TreeCommand): readonly string[] {
  if (!path.includes(' ')) return []
  const names = [path, ...(alias === undefined ? [] : [`${path.slice(0, path.lastIndexOf(' '))} ${alias}`])]
  return [`      (${names.map(quoted).join('|')}) at=${quoted(path)} ;;`]
}

function valuesOf({ path, options }: TreeCommand): readonly string[] {
  return options.flatMap(({ names, value }) =>
    value === undefined
      ? []
      : [`    (${names.map((name) => quoted(`${path} ${name}`)).join('|')}) ${reply(value)}; return ;;`],
  )
}

function wordsOf({ path, commands, arguments: values }: TreeCommand): readonly string[] {
  const [value] = values
  if (commands.length > 0) {
    const items = commands.map(({ name, about }) => item(name, about)).join(' ')
    return [`    (${quoted(path)}) items=(${items}); _describe command items ;;`]
  }
  return value === undefined || value.kind === 'free' ? [] : [`    (${quoted(path)}) ${reply(value)} ;;`]
}

function itemsOf({ names, about }: TreeOption): readonly string[] {
  return names.map((name) => item(name, about))
}

/** A colon parts a word from what is said of it. */
function item(word: string, about: string): string {
  return quoted(`${word.replaceAll(':', '\\:')}:${about}`)
}

function reply(value: Value): string {
  const asked = ASKED[value.kind]
  if (value.kind === 'words') return `compadd -- ${value.words.map(quoted).join(' ')}`
  if (value.kind === 'file') return '_files'
  if (value.kind === 'directory') return '_files -/'
  return asked === undefined ? ':' : `compadd -- \${(f)"$(${asked})"}`
}

import { allCommands, type TreeCommand, type Value } from './command-tree.ts'
import { ASKED, quoted } from './known.ts'

/** A script for `source <(cbtor completion bash)`. It asks nothing of the program but what only a running service knows. */
export function bashCompletion(root: TreeCommand): string {
  const commands = allCommands(root)
  return `# Completion of cbtor for bash: source <(cbtor completion bash)
# What a service has, clients may have named: compgen -W would run what is in it.
_cbtor_asked() {
  local word
  while IFS= read -r word; do
    [[ $word == "$cur"* ]] || continue
    printf -v word %q "$word"
    COMPREPLY+=("$word")
  done
}
_cbtor() {
  local cur=\${COMP_WORDS[COMP_CWORD]} prev=\${COMP_WORDS[COMP_CWORD-1]} at=cbtor word i
  COMPREPLY=()
  for ((i = 1; i < COMP_CWORD; i++)); do
    word=\${COMP_WORDS[i]}
    case "$at $word" in
${commands.flatMap(({ path, alias }) => stepsTo(path, alias)).join('\n')}
    esac
  done
  case "$at $prev" in
${commands.flatMap(valuesOf).join('\n')}
  esac
  if [[ $cur == -* ]]; then
    case $at in
${commands.map(({ path, options }) => `      ${quoted(path)}) COMPREPLY=($(compgen -W ${quoted(options.flatMap(({ names }) => names).join(' '))} -- "$cur")) ;;`).join('\n')}
    esac
    return
  fi
  case $at in
${commands.flatMap(wordsOf).join('\n')}
  esac
}
complete -F _cbtor cbtor
`
}

function stepsTo(path: string, alias: string | undefined): readonly string[] {
  if (!path.includes(' ')) return []
  const parent = path.slice(0, path.lastIndexOf(' '))
  const names = [path, ...(alias === undefined ? [] : [`${parent} ${alias}`])]
  return [`      ${names.map(quoted).join(' | ')}) at=${quoted(path)} ;;`]
}

function valuesOf({ path, options }: TreeCommand): readonly string[] {
  return options.flatMap(({ names, value }) =>
    value === undefined
      ? []
      : [`    ${names.map((name) => quoted(`${path} ${name}`)).join(' | ')}) ${reply(value)} return ;;`],
  )
}

function wordsOf({ path, commands, arguments: values }: TreeCommand): readonly string[] {
  const [value] = values
  if (commands.length > 0)
    return [`    ${quoted(path)}) ${reply({ kind: 'words', words: commands.map(({ name }) => name) })} ;;`]
  return value === undefined || value.kind === 'free' ? [] : [`    ${quoted(path)}) ${reply(value)} ;;`]
}

function reply(value: Value): string {
  const asked = ASKED[value.kind]
  if (value.kind === 'words') return `COMPREPLY=($(compgen -W ${quoted(value.words.join(' '))} -- "$cur"));`
  if (value.kind === 'file') return 'compopt -o filenames 2>/dev/null; COMPREPLY=($(compgen -f -- "$cur"));'
  if (value.kind === 'directory') return 'compopt -o filenames 2>/dev/null; COMPREPLY=($(compgen -d -- "$cur"));'
  return asked === undefined ? ':;' : `_cbtor_asked < <(${asked});`
}

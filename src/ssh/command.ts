declare const constant: unique symbol

/** A shell command that is a constant of the program. Only `command` makes one. */
export type SshCommand = string & { readonly [constant]: true }

/**
 * A constant shell command, for the box's own `sh` (busybox ash). It takes no values, so nothing from outside can ever become
 * part of a command line: an interpolation is a type error.
 *
 * What varies goes by stdin, a line each, and the command reads it back (`runScript` sends it so):
 *
 *     const READ_FILE = command`IFS= read -r path && cat -- "$path"`
 *
 * `IFS=` keeps blanks at the ends, `-r` backslashes. The quotes and `--` are the command's own duty: a value may hold blanks and
 * begin with `-`. The shell reads such a line byte by byte, so whatever follows on stdin is left for `cat` and the like.
 *
 * The text is taken as it stands, so `printf 'a\n'` reaches the shell with its backslash; only `` \` `` and `\${`, which a
 * template cannot hold otherwise, lose theirs.
 */
export function command(strings: TemplateStringsArray): SshCommand {
  const [text] = strings.raw
  if (text === undefined || strings.raw.length !== 1)
    throw new TypeError('A command takes no values: send them by stdin')
  return text.replace(/\\(`|\$\{)/g, '$1') as SshCommand
}

/** One after the other in one shell, which the earlier may end: what is made of constants is constant. */
export function inOrder(...commands: readonly SshCommand[]): SshCommand {
  return commands.join('\n') as SshCommand
}

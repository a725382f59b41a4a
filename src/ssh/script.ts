import type { SshCommand } from './command.ts'
import { SshError } from './errors.ts'
import type { CommandResult } from './exec.ts'
import type { SshSession } from './session.ts'

/** What runs commands; an `SshSession` does. */
export type CommandRunner = Pick<SshSession, 'run'>

export interface ScriptInput {
  /** The values that the script reads, one each by `IFS= read -r name`, in this order. */
  readonly lines: readonly string[]
  /** What is left on stdin behind them, for `cat` and the like. */
  readonly body?: string | Uint8Array
  readonly limitMs: number
}

/**
 * Runs a constant script with values, which go by stdin; see `command` for how it reads them. Rejects with `SshError` `invalid`
 * for a value that is no single line (the next value would be taken for its rest), and as `SshSession.run` does.
 *
 * A connection that breaks looks to the script like the end of the body, so a script that must not act on half of it has
 * the length as one of its lines, and compares.
 */
export async function runScript(
  session: CommandRunner,
  script: SshCommand,
  { lines, body = '', limitMs }: ScriptInput,
  signal: AbortSignal,
): Promise<CommandResult> {
  lines.forEach((line, index) => {
    if (/[\n\0]/.test(line))
      throw new SshError('invalid', `Cannot run a script: its value ${index + 1} holds a line break or a NUL character`)
  })
  const head = Buffer.from(lines.map((line) => `${line}\n`).join(''))
  return await session.run(script, { stdin: Buffer.concat([head, Buffer.from(body)]), limitMs }, signal)
}

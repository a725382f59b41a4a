import { printable } from '../../lib/printable.ts'
import type { CommandResult } from '../../ssh/exec.ts'

/** A command that ran to its end and says that it failed. Not `SshError`: SSH did what it was asked for. */
export class RemoteCommandError extends Error {
  override readonly name = 'RemoteCommandError'
  readonly result: CommandResult

  /** `attempt` completes "Cannot …". The message has what the command wrote to stderr. */
  constructor(attempt: string, result: CommandResult) {
    const words = printable(
      (result.stderr.trim() || result.stdout.trim() || 'it gave no reason').replace(/\s*\n\s*/g, '; '),
      500,
    )
    super(`Cannot ${attempt}: ${words} (exit code ${result.code})`)
    this.result = result
  }
}

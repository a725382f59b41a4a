import { printable } from '../lib/printable.ts'
import { command } from './command.ts'
import { SshError } from './errors.ts'
import type { CommandResult } from './exec.ts'
import { type CommandRunner, runScript } from './script.ts'

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

/** OpenWrt has no SFTP. Written beside the file and moved, so nobody ever reads half of it; counted, so no half is moved. */
const WRITE_FILE = command`
IFS= read -r path && IFS= read -r mode && IFS= read -r size || exit 64
new="$path.cbtor-new"
umask 077
rm -f -- "$new"
cat > "$new" && [ "$(wc -c < "$new")" -eq "$size" ] && chmod -- "$mode" "$new" && mv -f -- "$new" "$path" && exit 0
code=$?
rm -f -- "$new"
exit "$code"
`

export interface RemoteFile {
  /** Absolute; its directory exists. */
  readonly path: string
  readonly content: string | Uint8Array
  /** Permission bits, such as 0o600. */
  readonly mode: number
}

/**
 * Writes a file on the box, all or nothing. Rejects with `RemoteCommandError` when the box says no (no space, no such directory),
 * with `SshError` `invalid` for a path that is not absolute, and as `SshSession.run` does.
 */
export async function writeFile(
  session: CommandRunner,
  { path, content, mode }: RemoteFile,
  { limitMs = 30_000 }: { readonly limitMs?: number },
  signal: AbortSignal,
): Promise<void> {
  const attempt = `write ${printable(path, 200)} on the box`
  if (!path.startsWith('/') || path.endsWith('/'))
    throw new SshError('invalid', `Cannot ${attempt}: the path of a file is absolute, such as /etc/tor/torrc`)
  if (!Number.isInteger(mode) || mode < 0 || mode > 0o7777)
    throw new SshError('invalid', `Cannot ${attempt}: its mode is not one such as 0o600`)
  const body = Buffer.from(content)
  const lines = [path, mode.toString(8), String(body.length)]
  const result = await runScript(session, WRITE_FILE, { lines, body, limitMs }, signal)
  if (result.code !== 0) throw new RemoteCommandError(attempt, result)
}

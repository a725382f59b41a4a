import { createHash } from 'node:crypto'
import type { SshCommand } from '../../ssh/command.ts'
import { type CommandRunner, runScript } from '../../ssh/script.ts'
import {
  COPY_FILES,
  MAKE_DIRECTORIES,
  MISSING_DIRECTORIES,
  READ_FILES,
  REMOVE_EMPTY_DIRECTORIES,
  REMOVE_FILES,
  RESTORE_FILE,
  WRITE_CHANGED,
  WRITE_FILE,
  WRITE_INCOMPLETE,
} from './file-commands.ts'
import { RemoteCommandError } from './remote-command-error.ts'

/** A file of a box. */
export interface RemoteFile {
  /** One character a byte (latin1), so that whatever is in a file survives our editing. */
  readonly text: string
  /** Permission bits. */
  readonly mode: number
  /** Of its bytes, in hex. */
  readonly sha256: string
}

export interface FileWrite {
  readonly path: string
  readonly text: string
  readonly mode: number
  /** What the file must still be for it to be replaced; undefined: not there. */
  readonly from: RemoteFile | undefined
  /** Where copies of what is there now go. */
  readonly copies: readonly string[]
}

/** A file is not what it was when it was read, so it was not replaced. */
export class FileChangedError extends Error {
  override readonly name = 'FileChangedError'

  constructor(path: string) {
    super(`Cannot write ${path}: somebody changed it just now; run it again`)
  }
}

/** How long a small command may take on a slow box. */
const SMALL_LIMIT_MS = 30_000

/** What the installer does on a box, as functions. They reject with `RemoteCommandError`, `FileChangedError`, `SshError` or the signal's reason. */
export class BoxShell {
  readonly #session: CommandRunner
  readonly #signal: AbortSignal

  constructor(session: CommandRunner, signal: AbortSignal) {
    this.#session = session
    this.#signal = signal
  }

  /** The same box, under another signal. */
  under(signal: AbortSignal): BoxShell {
    return new BoxShell(this.#session, signal)
  }

  /** What the command wrote. `attempt` completes "Cannot …" when its exit code is not 0. */
  async run(attempt: string, command: SshCommand, lines: readonly string[] = [], limitMs = SMALL_LIMIT_MS) {
    const result = await runScript(this.#session, command, { lines, limitMs }, this.#signal)
    if (result.code !== 0) throw new RemoteCommandError(attempt, result)
    return result.stdout
  }

  /** The lines that the command wrote. */
  async lines(attempt: string, command: SshCommand, lines: readonly string[] = []): Promise<readonly string[]> {
    return (await this.run(attempt, command, lines)).split('\n').filter((line) => line !== '')
  }

  async read(path: string): Promise<RemoteFile | undefined> {
    return (await this.readAll([path])).get(path)
  }

  /** The files of `paths` that are there. Rejects when one is a directory or the like. */
  async readAll(paths: readonly string[]): Promise<ReadonlyMap<string, RemoteFile>> {
    const files = new Map<string, RemoteFile>()
    if (paths.length === 0) return files
    const answers = await this.lines('read files of the box', READ_FILES, paths)
    paths.forEach((path, index) => {
      const answer = answers[index] ?? 'nothing'
      if (answer === 'absent') return
      const [permissions = '', sha256 = '', hex = ''] = answer.split(' ')
      const bytes = Buffer.from(hex, 'hex')
      if (sha256Of(bytes) !== sha256) {
        const why =
          answer === 'other' ? 'it is no regular file' : 'its content came damaged, or it was changed just now'
        throw new Error(`Cannot read ${path} of the box: ${why}`)
      }
      files.set(path, { text: bytes.toString('latin1'), mode: modeOf(permissions), sha256 })
    })
    return files
  }

  /** Replaces or makes a file, all or nothing. Its directory must be there. */
  async write({ path, text, mode, from, copies }: FileWrite): Promise<RemoteFile> {
    const bytes = Buffer.from(text, 'latin1')
    const sha256 = sha256Of(bytes)
    const [first = '-', second = '-'] = from ? copies : []
    const lines = [path, mode.toString(8), from?.sha256 ?? 'absent', sha256, first, second]
    const input = { lines, body: bytes, limitMs: SMALL_LIMIT_MS }
    const result = await runScript(this.#session, WRITE_FILE, input, this.#signal)
    if (result.code === WRITE_CHANGED) throw new FileChangedError(path)
    if (result.code === WRITE_INCOMPLETE) throw new Error(`Cannot write ${path}: not all of it arrived at the box`)
    if (result.code !== 0) throw new RemoteCommandError(`write ${path}`, result)
    return { text, mode, sha256 }
  }

  /** Puts copies of those files that are there beside them. */
  async copy(pairs: readonly (readonly [path: string, copy: string])[]): Promise<void> {
    await this.run('keep copies of files', COPY_FILES, pairs.flat())
  }

  async restore(path: string, copy: string): Promise<void> {
    await this.run(`restore ${path}`, RESTORE_FILE, [path, copy])
  }

  async remove(paths: readonly string[]): Promise<void> {
    if (paths.length > 0) await this.run(`remove ${paths.join(', ')}`, REMOVE_FILES, paths)
  }

  async missingDirectories(paths: readonly string[]): Promise<readonly string[]> {
    return paths.length === 0 ? [] : await this.lines('look for directories', MISSING_DIRECTORIES, paths)
  }

  async makeDirectories(paths: readonly string[]): Promise<void> {
    if (paths.length > 0) await this.run(`make ${paths.join(', ')}`, MAKE_DIRECTORIES, paths)
  }

  /** Those that are empty go; `paths` are parents first. */
  async removeEmptyDirectories(paths: readonly string[]): Promise<void> {
    if (paths.length > 0) await this.run('remove directories', REMOVE_EMPTY_DIRECTORIES, paths.toReversed())
  }
}

export function sha256Of(bytes: Uint8Array): string {
  return createHash('sha256').update(bytes).digest('hex')
}

/** Of permissions as `ls` writes them: `-rw-r-----` is 0o640. */
function modeOf(permissions: string): number {
  const bits = [...permissions.slice(1, 10)].map((letter) => (letter === '-' ? '0' : '1')).join('')
  return Number.parseInt(bits, 2)
}

import { execFile } from 'node:child_process'
import { lstat, readdir } from 'node:fs/promises'
import { join } from 'node:path'
import { promisify } from 'node:util'
import { messageOf } from './finding.ts'
import type { FileSeen, StateSeen } from './state-files.ts'
import type { RunProgram } from './tor-version.ts'

const RUN_WITHIN_MS = 10_000

/** Runs a program without a shell. */
export const runProgram: RunProgram = async ([program = '', ...args], signal) => {
  const { stdout } = await promisify(execFile)(program, args, { signal, timeout: RUN_WITHIN_MS })
  return stdout
}

/** Everything that is in a state directory, however deep. Follows no link. */
export async function lookAtState(directory: string): Promise<StateSeen> {
  const files: FileSeen[] = []
  const unreadable: string[] = []
  const look = async (path: string): Promise<void> => {
    try {
      const seen = await lstat(path)
      const kind = kindOf(seen)
      files.push({ path, kind, mode: seen.mode & 0o777, uid: seen.uid })
      if (kind !== 'directory') return
      for (const name of (await readdir(path)).sort()) await look(join(path, name))
    } catch (error) {
      // What was deleted meanwhile, such as a file that Tor has just replaced, is not there.
      if ((error as NodeJS.ErrnoException).code !== 'ENOENT') unreadable.push(messageOf(error))
    }
  }
  await look(directory)
  return { directory, files, unreadable }
}

type Kinds = Record<'isDirectory' | 'isFile' | 'isSocket' | 'isSymbolicLink', () => boolean>

function kindOf(seen: Kinds): FileSeen['kind'] {
  if (seen.isDirectory()) return 'directory'
  if (seen.isFile()) return 'file'
  if (seen.isSocket()) return 'socket'
  return seen.isSymbolicLink() ? 'link' : 'other'
}

import { createHash } from 'node:crypto'
import type { Stats } from 'node:fs'
import { lstat, readdir, readFile, readlink } from 'node:fs/promises'
import { join } from 'node:path'
import type { SnapshotEntry } from '../protocol.ts'

/** Made anew at each boot: not on the flash. */
const NOT_FLASH = new Set(['/proc', '/sys', '/dev', '/tmp'])

/** Every file of the flash below `root`, in the order of their paths, without following a link. */
export async function snapshot(root: string): Promise<SnapshotEntry[]> {
  const entries: SnapshotEntry[] = []
  const visit = async (directory: string): Promise<void> => {
    for (const name of (await readdir(join(root, directory))).sort()) {
      const path = join(directory, name)
      if (NOT_FLASH.has(path)) continue
      const stats = await lstat(join(root, path)).catch(unlessGone)
      const what = stats && (await content(join(root, path), stats).catch(unlessGone))
      if (!stats || what === undefined) continue
      entries.push([path, `${owned(stats)} ${what}`])
      if (stats.isDirectory()) await visit(path)
    }
  }
  await visit('/')
  return entries
}

function owned({ mode, uid, gid }: Stats): string {
  return `${(mode & 0o7777).toString(8).padStart(4, '0')} ${uid}:${gid}`
}

async function content(path: string, stats: Stats): Promise<string> {
  if (stats.isDirectory()) return 'directory'
  if (stats.isSymbolicLink()) return `-> ${await readlink(path)}`
  if (!stats.isFile()) return 'special'
  return `sha256:${createHash('sha256')
    .update(await readFile(path))
    .digest('hex')}`
}

/** The box runs: a file may go while we look. */
function unlessGone(error: NodeJS.ErrnoException): undefined {
  if (error.code !== 'ENOENT') throw error
}

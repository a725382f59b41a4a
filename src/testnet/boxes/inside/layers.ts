import { mkdir, readdir, rm, stat, utimes } from 'node:fs/promises'
import { join } from 'node:path'

/** Layers that nobody has built on for so long are of programs or sources that have changed since. */
const KEPT_MS = 24 * 3_600_000
const OURS = /^(?:rootfs|building)-/

/** Layers of boxes, some 100 MB, are kept for the next rack, which mostly has the same; this removes what others have left. */
export async function dropOldLayers(directory: string, now: number): Promise<void> {
  await mkdir(directory, { recursive: true })
  for (const name of await readdir(directory)) {
    if (!OURS.test(name)) continue
    const path = join(directory, name)
    const found = await stat(path).catch(() => undefined)
    if (found && now - found.mtimeMs > KEPT_MS) await rm(path, { recursive: true, force: true })
  }
}

/** Says that layers are in use. */
export async function touchLayers(path: string, now: number): Promise<void> {
  await utimes(path, now / 1000, now / 1000)
}

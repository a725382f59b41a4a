import { randomUUID } from 'node:crypto'
import {
  closeSync,
  constants,
  fchmodSync,
  fchownSync,
  fstatSync,
  fsyncSync,
  lstatSync,
  openSync,
  readFileSync,
  renameSync,
  rmSync,
  statSync,
  writeSync,
} from 'node:fs'
import { dirname, join } from 'node:path'
import type { KeyRing } from './key-ring.ts'

/** The name of the key in the state directory, by which `cbtor keys reset-admin` finds those of the past. */
const ADMIN = 'admin'
const { O_CREAT, O_EXCL, O_NOFOLLOW, O_NONBLOCK, O_RDONLY, O_WRONLY } = constants

/** Where the key for the commands on this machine is. */
export function adminKeyFile(stateDirectory: string): string {
  return join(stateDirectory, 'admin.key')
}

/**
 * Makes the key that may everything, writes it to the file and returns its text. The file comes first: a key that nobody has
 * would keep the next start from making one. Throws an `Error` that names the file when it cannot be written.
 */
export function createAdminKey(ring: KeyRing, file: string): string {
  const drawn = ring.draw({ name: ADMIN, scopes: ['admin'] })
  writeAdminKey(file, drawn.text)
  ring.add(drawn)
  return drawn.text
}

/** As `createAdminKey`, in the place of those that were made so before: they are revoked. */
export function resetAdminKey(ring: KeyRing, file: string): string {
  const past = ring.list().filter(({ name, scopes }) => name === ADMIN && scopes.includes('admin'))
  const text = createAdminKey(ring, file)
  for (const { id } of past) ring.revoke(id)
  return text
}

/**
 * The key in the file; undefined when there is no such file. Throws an `Error` that names the file and what mends it when
 * others could have read or placed it.
 */
export function readAdminKey(file: string): string | undefined {
  let handle: number
  try {
    handle = openSync(file, O_RDONLY | O_NOFOLLOW | O_NONBLOCK) // a FIFO would keep us waiting
  } catch (cause) {
    const { code, message } = cause as NodeJS.ErrnoException
    if (code === 'ENOENT' || code === 'ENOTDIR') return undefined
    throw new Error(`Cannot read the key in ${file}: ${code === 'ELOOP' ? 'it is a symbolic link' : message}`, {
      cause,
    })
  }
  try {
    const stat = fstatSync(handle)
    if (!stat.isFile()) throw new Error(`Cannot read the key in ${file}: it is not a file`)
    if ((stat.mode & 0o077) !== 0) {
      const mode = (stat.mode & 0o777).toString(8)
      throw new Error(
        `Cannot use the key in ${file}: others than its owner may read it (mode ${mode}): chmod 600 ${file}`,
      )
    }
    return readFileSync(handle, 'utf8').trim()
  } finally {
    closeSync(handle)
  }
}

/** All of the file or nothing of it, at any moment readable for its owner only, whatever lies at its place. */
function writeAdminKey(file: string, text: string): void {
  const temporary = `${file}.${randomUUID()}`
  try {
    const there = lstatSync(file, { throwIfNoEntry: false })
    if (there !== undefined && !there.isFile()) {
      throw new Error(there.isSymbolicLink() ? 'a symbolic link is there' : 'what is there is not a file')
    }
    const handle = openSync(temporary, O_CREAT | O_EXCL | O_WRONLY | O_NOFOLLOW, 0o600)
    try {
      fchmodSync(handle, 0o600)
      giveToOwnerOf(dirname(file), handle)
      writeSync(handle, `${text}\n`)
      fsyncSync(handle)
    } finally {
      closeSync(handle)
    }
    renameSync(temporary, file)
  } catch (cause) {
    rmSync(temporary, { force: true })
    throw new Error(`Cannot write the key to ${file}: ${cause instanceof Error ? cause.message : cause}`, { cause })
  }
}

/** What root does in the state directory of a service must not be root's. */
function giveToOwnerOf(directory: string, handle: number): void {
  if (process.getuid?.() !== 0) return
  const { uid, gid } = statSync(directory)
  fchownSync(handle, uid, gid)
}

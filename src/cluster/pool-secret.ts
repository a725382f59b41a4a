import { randomUUID } from 'node:crypto'
import {
  closeSync,
  constants,
  fstatSync,
  fsyncSync,
  linkSync,
  openSync,
  readFileSync,
  rmSync,
  writeSync,
} from 'node:fs'
import type { Random } from '../lib/random.ts'
import { StoreError } from '../store/store-error.ts'

const { O_CREAT, O_EXCL, O_NOFOLLOW, O_NONBLOCK, O_RDONLY, O_WRONLY } = constants
const SECRET_BYTES = 32
/** More than anybody needs, and nothing that is read by mistake. */
const MAX_BYTES = 4_096

/** The secret of the pool in the file, 32 bytes at least. When there is no file, one is made. Throws a `StoreError` that says what mends it. */
export function poolSecret(file: string, random: Pick<Random, 'bytes'>): Buffer {
  const there = readPoolSecret(file)
  if (there !== undefined) return there
  makeFile(file, random.bytes(SECRET_BYTES))
  const made = readPoolSecret(file)
  if (made === undefined) throw fault(file, 'it has gone again')
  return made
}

/** As `poolSecret`, but undefined when there is no file. */
export function readPoolSecret(file: string): Buffer | undefined {
  const text = readSecretFile(file, "the pool's secret")
  if (text === undefined) return undefined
  const secret = Buffer.from(text, 'base64')
  if (!/^[A-Za-z0-9+/]+=*$/.test(text) || secret.length < SECRET_BYTES)
    throw fault(file, `expected ${SECRET_BYTES} bytes or more in base64: copy the file of another replica as it is`)
  return secret
}

/** The password of the store, from a file. Throws a `StoreError`. */
export function readPassword(file: string): string {
  const password = readSecretFile(file, 'the password of the store')
  if (password === undefined || password === '')
    throw new StoreError('refused', `Cannot read the password of the store in ${file}: there is none`)
  return password
}

/** The text of a file that is for its owner alone, without blanks around; undefined when there is no file. Throws a `StoreError`. */
export function readSecretFile(file: string, what: string): string | undefined {
  let handle: number
  try {
    handle = openSync(file, O_RDONLY | O_NONBLOCK) // a FIFO would keep us waiting
  } catch (error) {
    const { code, message } = error as NodeJS.ErrnoException
    if (code === 'ENOENT') return undefined
    throw new StoreError('refused', `Cannot read ${what} in ${file}: ${message}`, { cause: error })
  }
  try {
    const { size, mode, isFile } = statOf(handle)
    if (!isFile || size > MAX_BYTES)
      throw new StoreError('refused', `Cannot read ${what} in ${file}: it is no file for it`)
    if ((mode & 0o007) !== 0)
      throw new StoreError(
        'refused',
        `Cannot use ${what} in ${file}: everybody may read or write it: chmod 600 ${file}`,
      )
    return readFileSync(handle, 'utf8').trim()
  } finally {
    closeSync(handle)
  }
}

function statOf(handle: number): { readonly size: number; readonly mode: number; readonly isFile: boolean } {
  const stat = fstatSync(handle)
  return { size: stat.size, mode: stat.mode, isFile: stat.isFile() }
}

/** All of it or nothing, and never over one that somebody else has made meanwhile. */
function makeFile(file: string, secret: Buffer): void {
  const temporary = `${file}.${randomUUID()}`
  try {
    const handle = openSync(temporary, O_CREAT | O_EXCL | O_WRONLY | O_NOFOLLOW, 0o600)
    try {
      writeSync(handle, `${secret.toString('base64')}\n`)
      fsyncSync(handle)
    } finally {
      closeSync(handle)
    }
    linkSync(temporary, file)
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code !== 'EEXIST')
      throw fault(file, `it cannot be made: ${error instanceof Error ? error.message : error}`)
  } finally {
    rmSync(temporary, { force: true })
  }
}

function fault(file: string, message: string): StoreError {
  return new StoreError('refused', `Cannot use the pool's secret in ${file}: ${message}`)
}

import { randomUUID } from 'node:crypto'
import { mkdirSync, readdirSync, readFileSync, renameSync, rmSync, statSync, writeFileSync } from 'node:fs'
import { basename, isAbsolute, join } from 'node:path'
import { z } from 'zod'
import { checkDestination, type SshDestination } from '../ssh/destination.ts'
import { isWireguardKey } from './wireguard-keys.ts'

/** What an installation established about a box: written once by the installer, read by everybody who uses the box. */
export interface BoxFile {
  /** The worker's id, and the file's name. */
  readonly id: string
  readonly ssh: {
    readonly host: string
    readonly port: number
    readonly user: string
    /** `SHA256:` and the base64 of the host key's hash, without padding. */
    readonly hostKey: string
    /** Absolute path of the private key that the box accepts. */
    readonly keyFile: string
  }
  readonly tunnel: {
    /** 1 to 254: 10.201.N.1 is the box, 10.201.N.2 this machine. */
    readonly n: number
    /** This machine's WireGuard key, base64. */
    readonly privateKey: string
    /** UDP port of this machine. */
    readonly listenPort: number
    readonly boxPublicKey: string
    /** `host:port` where this machine reaches the box; the host may be a name. */
    readonly boxEndpoint: string
    /** `host:port` where the box reaches this machine. */
    readonly hostEndpoint: string
  }
  /** Version of what was put on the box. */
  readonly payload: string
  readonly packageManager: PackageManager
}

export type PackageManager = 'opkg' | 'apk'

/** A box file that cannot be used: which, what is wrong with it, and what would be right. */
export class BoxFileError extends Error {
  override readonly name = 'BoxFileError'
}

export const WORKER_ID = /^[a-z][a-z0-9-]{0,31}$/
export const HOST_KEY = /^SHA256:[A-Za-z0-9+/]{43}$/
/** A host name, an IPv4 address or an IPv6 address in brackets, and a port. A host never begins with a hyphen. */
export const ENDPOINT = /^(?:[A-Za-z0-9_][A-Za-z0-9._-]{0,252}|\[[0-9A-Fa-f:.]{2,45}(?:%[\w.-]+)?\]):([1-9]\d{0,4})$/

/** Of `host:port`; IPv6 loses its brackets. */
export function splitEndpoint(text: string): readonly [host: string, port: number] {
  const at = text.lastIndexOf(':')
  return [text.slice(0, at).replace(/^\[(.*)\]$/, '$1'), Number(text.slice(at + 1))]
}

const port = z.int().min(1).max(65_535)
const wireguardKey = z.string().refine(isWireguardKey, 'expected a WireGuard key, 32 bytes in base64')
const endpoint = z.string().refine(isEndpoint, 'expected HOST:PORT, such as 192.0.2.11:51820 or [2001:db8::1]:51820')

const schema = z.strictObject({
  version: z.literal(1, 'expected 1: this version of CBTOR reads no other'),
  id: z.string().regex(WORKER_ID, 'expected a letter, then up to 31 letters, digits or hyphens'),
  ssh: z.strictObject({
    host: z.string().refine(isHost, 'expected a host name or an address, without brackets'),
    port,
    user: z.string().refine(isUser, 'expected the name of a user, such as root'),
    host_key: z.string().regex(HOST_KEY, 'expected SHA256: and 43 characters of base64'),
    key_file: z.string().refine(isAbsolute, 'expected the absolute path of a private key'),
  }),
  tunnel: z.strictObject({
    n: z.int().min(1).max(254),
    private_key: wireguardKey,
    listen_port: port,
    box_public_key: wireguardKey,
    box_endpoint: endpoint,
    host_endpoint: endpoint,
  }),
  payload: z.string().min(1),
  package_manager: z.enum(['opkg', 'apk']),
})

export function boxFilePath(stateDirectory: string, id: string): string {
  return join(stateDirectory, 'boxes', `${id}.json`)
}

/** Throws a `BoxFileError` when the file is missing, unreadable, readable by everybody, or wrong. */
export function readBoxFile(path: string): BoxFile {
  let text: string
  try {
    // The key of the tunnel is in it.
    const mode = statSync(path).mode & 0o777
    if (mode & 0o007) {
      throw new BoxFileError(`Cannot use the box file ${path}: everybody may read it; mend it with: chmod 600 ${path}`)
    }
    text = readFileSync(path, 'utf8')
  } catch (error) {
    if (error instanceof BoxFileError) throw error
    if ((error as NodeJS.ErrnoException).code === 'ENOENT') {
      const id = basename(path, '.json')
      throw new BoxFileError(`No box ${id} is installed: there is no ${path}; make it with: cbtor workers install`)
    }
    throw new BoxFileError(`Cannot read the box file ${path}: ${messageOf(error)}`, { cause: error })
  }
  const box = parseBoxFile(text, path)
  if (basename(path) !== `${box.id}.json`) {
    throw new BoxFileError(`Cannot use the box file ${path}: it is of box ${box.id}; its name must be ${box.id}.json`)
  }
  return box
}

/** All boxes that were installed from this state directory, by id. None if there is no such directory. */
export function readBoxes(stateDirectory: string): readonly BoxFile[] {
  const directory = join(stateDirectory, 'boxes')
  let names: readonly string[]
  try {
    names = readdirSync(directory)
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code === 'ENOENT') return []
    throw new BoxFileError(`Cannot read the directory of boxes ${directory}: ${messageOf(error)}`, { cause: error })
  }
  const boxes = names
    .filter((name) => name.endsWith('.json') && !name.startsWith('.'))
    .sort()
    .map((name) => readBoxFile(join(directory, name)))
  refuseShared(boxes, 'tunnel number', ({ tunnel }) => tunnel.n)
  refuseShared(boxes, 'listen port', ({ tunnel }) => tunnel.listenPort)
  return boxes
}

/** Replaces or makes the box's file, at once and readable by its owner alone; returns its path. */
export function writeBoxFile(stateDirectory: string, box: BoxFile): string {
  const path = boxFilePath(stateDirectory, box.id)
  const text = `${JSON.stringify(documentOf(box), null, 2)}\n`
  parseBoxFile(text, path)
  const temporary = join(stateDirectory, 'boxes', `.${box.id}.${randomUUID()}`)
  try {
    mkdirSync(join(stateDirectory, 'boxes'), { recursive: true, mode: 0o700 })
    writeFileSync(temporary, text, { mode: 0o600, flush: true })
    renameSync(temporary, path)
  } catch (error) {
    rmSync(temporary, { force: true })
    throw new BoxFileError(`Cannot write the box file ${path}: ${messageOf(error)}`, { cause: error })
  }
  return path
}

export function removeBoxFile(stateDirectory: string, id: string): void {
  rmSync(boxFilePath(stateDirectory, id), { force: true })
}

function parseBoxFile(text: string, path: string): BoxFile {
  let json: unknown
  try {
    json = JSON.parse(text)
  } catch (error) {
    // The parser's own message quotes the text, and there is a key in it.
    throw new BoxFileError(`Cannot use the box file ${path}: it is not JSON`, { cause: error })
  }
  const result = schema.safeParse(json)
  if (!result.success) {
    const faults = result.error.issues.map(({ path: field, message }) => `${field.join('.') || 'the file'}: ${message}`)
    throw new BoxFileError(`Cannot use the box file ${path}: ${faults.join('; ')}`)
  }
  const { id, ssh, tunnel, payload, package_manager: packageManager } = result.data
  return {
    id,
    ssh: { host: ssh.host, port: ssh.port, user: ssh.user, hostKey: ssh.host_key, keyFile: ssh.key_file },
    tunnel: {
      n: tunnel.n,
      privateKey: tunnel.private_key,
      listenPort: tunnel.listen_port,
      boxPublicKey: tunnel.box_public_key,
      boxEndpoint: tunnel.box_endpoint,
      hostEndpoint: tunnel.host_endpoint,
    },
    payload,
    packageManager,
  }
}

function documentOf({ id, ssh, tunnel, payload, packageManager }: BoxFile): z.input<typeof schema> {
  return {
    version: 1,
    id,
    ssh: { host: ssh.host, port: ssh.port, user: ssh.user, host_key: ssh.hostKey, key_file: ssh.keyFile },
    tunnel: {
      n: tunnel.n,
      private_key: tunnel.privateKey,
      listen_port: tunnel.listenPort,
      box_public_key: tunnel.boxPublicKey,
      box_endpoint: tunnel.boxEndpoint,
      host_endpoint: tunnel.hostEndpoint,
    },
    payload,
    package_manager: packageManager,
  }
}

function refuseShared(boxes: readonly BoxFile[], what: string, read: (box: BoxFile) => number): void {
  const owners = new Map<number, string>()
  for (const box of boxes) {
    const value = read(box)
    const owner = owners.get(value)
    if (owner !== undefined) {
      throw new BoxFileError(
        `Boxes ${owner} and ${box.id} both have ${what} ${value}: uninstall one and install it again with another --tunnel`,
      )
    }
    owners.set(value, box.id)
  }
}

/** Whether it is a `host:port` that somebody can have. */
export function isEndpoint(text: string): boolean {
  return Number(ENDPOINT.exec(text)?.[1]) <= 65_535 && isHost(splitEndpoint(text)[0])
}

function isHost(host: string): boolean {
  return isDestination({ user: 'root', host, port: 22 }) && !host.startsWith('[')
}

function isUser(user: string): boolean {
  return isDestination({ user, host: 'box', port: 22 })
}

/** By the rules of the SSH client, which has to reach it. */
function isDestination(destination: SshDestination): boolean {
  try {
    checkDestination(destination)
    return true
  } catch {
    return false
  }
}

function messageOf(error: unknown): string {
  return error instanceof Error ? error.message : String(error)
}

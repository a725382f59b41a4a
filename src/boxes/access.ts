import { chmodSync, mkdirSync, readFileSync, statSync, writeFileSync } from 'node:fs'
import { dirname, join, resolve } from 'node:path'
import type { Clock } from '../lib/clock.ts'
import { type SshDestination, showDestination } from '../ssh/destination.ts'
import { SshError } from '../ssh/errors.ts'
import { checkFingerprint, checkPrivateKey, generateKeyPair } from '../ssh/keys.ts'
import { readHostKey } from '../ssh/read-host-key.ts'
import { SshSession } from '../ssh/session.ts'
import type { BoxFile } from './box-file.ts'
import { InstallError } from './install/install-error.ts'
import { BoxShell } from './remote/box-shell.ts'

export interface AccessRequest {
  readonly destination: SshDestination
  readonly stateDirectory: string
  /** What is known of the box from an earlier installation. */
  readonly known: BoxFile | undefined
  /** Private key; that of the earlier installation, or one of our own, when left out. */
  readonly keyFile?: string
  /** The host key that the operator has compared. */
  readonly acceptHostKey?: string
  /** Asks the operator; undefined where nobody can be asked. */
  readonly confirm?: (question: string) => Promise<boolean>
  readonly clock: Clock
}

/** A box that shows the right host key and accepts ours. Disposing it closes the connection. */
export interface BoxAccess extends AsyncDisposable {
  readonly session: SshSession
  readonly box: BoxShell
  readonly hostKey: string
  /** Absolute. */
  readonly keyFile: string
}

const SHOW_HOST_KEY = 'dropbearkey -y -f /etc/dropbear/dropbear_ed25519_host_key'

/**
 * Connects to a box: its host key first, which must be the pinned one or, at the first contact, one that the operator accepts.
 * Nothing is sent to the box before. Rejects with `InstallError`, `SshError` or the signal's reason.
 */
export async function openBox(request: AccessRequest, signal: AbortSignal): Promise<BoxAccess> {
  const { destination, clock } = request
  const key = readKey(request)
  const shown = await readHostKey(destination.host, destination.port, { clock }, signal)
  await acceptHostKey(request, shown.fingerprint)
  const target = { ...destination, hostKey: shown.fingerprint, privateKey: key.text }
  const session = new SshSession({ target, clock })
  const box = new BoxShell(session, signal)
  try {
    await box.readAll(['/etc/openwrt_release'])
  } catch (error) {
    await session[Symbol.asyncDispose]()
    if (error instanceof SshError && error.fault === 'key-refused') throw keyRefused(destination, key)
    throw error
  }
  return {
    session,
    box,
    hostKey: shown.fingerprint,
    keyFile: key.path,
    [Symbol.asyncDispose]: () => session[Symbol.asyncDispose](),
  }
}

async function acceptHostKey({ destination, known, acceptHostKey: accepted, confirm }: AccessRequest, shown: string) {
  const box = showDestination(destination)
  if (accepted !== undefined) {
    if (shown === checkFingerprint(accepted)) return
    throw new InstallError(
      `Cannot trust ${box}: its host key is ${shown}, and the one that you accept is ${accepted}. Nothing was sent to it. ` +
        `Compare with what the box itself says (on its console: ${SHOW_HOST_KEY})`,
    )
  }
  if (known) {
    if (shown === known.ssh.hostKey) return
    throw new InstallError(
      `Cannot trust ${box}: its host key has changed. It is ${shown}, and at the installation of ${known.id} it was ${known.ssh.hostKey}. ` +
        `Nothing was sent to it. Either the box was set up anew, or something else answers in its place. If it was set up anew, compare on ` +
        `its console (${SHOW_HOST_KEY}) and install it again with --accept-host-key ${shown}`,
    )
  }
  const question = `${box} shows the ed25519 host key ${shown}\n(on its console: ${SHOW_HOST_KEY})\nIs that the box?`
  if (await confirm?.(question)) return
  throw new InstallError(
    `Cannot trust ${box} yet: its ed25519 host key is ${shown}, seen for the first time. Nothing was sent to it. Compare with what the box ` +
      `itself says (on its console: ${SHOW_HOST_KEY}), and if they are the same, run this again with --accept-host-key ${shown}`,
  )
}

interface PrivateKey {
  readonly path: string
  readonly text: string
}

function readKey({ keyFile, known, stateDirectory }: AccessRequest): PrivateKey {
  const chosen = keyFile ?? known?.ssh.keyFile
  const path = resolve(chosen ?? join(stateDirectory, 'ssh', 'id_ed25519'))
  try {
    return { path, text: checkPrivateKey(readFileSync(path, 'utf8')) }
  } catch (error) {
    if (error instanceof SshError) throw new InstallError(`Cannot use ${path}: ${error.message}`, { cause: error })
    const isMissing = (error as NodeJS.ErrnoException).code === 'ENOENT'
    if (isMissing && chosen === undefined) return createKey(path)
    throw new InstallError(
      isMissing
        ? `Cannot use the private key ${path}: there is no such file. Give one with --key, or leave it out and one is made`
        : `Cannot read the private key ${path}: ${(error as Error).message}`,
      { cause: error },
    )
  }
}

function createKey(path: string): PrivateKey {
  const { privateKey, authorizedKey } = generateKeyPair('cbtor')
  mkdirSync(dirname(path), { recursive: true, mode: 0o700 })
  chmodSync(dirname(path), 0o700)
  writeFileSync(path, privateKey, { mode: 0o600, flag: 'wx' })
  writeFileSync(`${path}.pub`, `${authorizedKey}\n`)
  return { path, text: privateKey }
}

function keyRefused(destination: SshDestination, { path }: PrivateKey): InstallError {
  const publicFile = `${path}.pub`
  const line = statSync(publicFile, { throwIfNoEntry: false }) ? readFileSync(publicFile, 'utf8').trim() : undefined
  const { user, host, port } = destination
  const add = `ssh -p ${port} ${user}@${host} 'cat >>/etc/dropbear/authorized_keys'`
  return new InstallError(
    `Cannot log in to ${showDestination(destination)}: it refuses the key ${path}. Add its public key as a line of ` +
      `/etc/dropbear/authorized_keys on the box (LuCI: System, Administration, SSH keys), for example:\n  ${
        line === undefined ? `ssh-keygen -y -f ${path} | ${add}` : `${add} <${publicFile}`
      }${line === undefined ? '' : `\nThe line: ${line}`}`,
  )
}

import { createHash } from 'node:crypto'
import { join } from 'node:path'
import { run } from '../../inside/run.ts'

/** An SSH key as OpenWrt's dropbear keeps it. */
export interface DropbearKey {
  readonly file: string
  /** `ssh-ed25519 AAAA…`, one line. */
  readonly publicKey: string
  /** `SHA256:…`, as OpenSSH shows it. */
  readonly fingerprint: string
}

export async function createKey(file: string, signal: AbortSignal): Promise<DropbearKey> {
  const said = await run(['dropbearkey', '-t', 'ed25519', '-f', file], '', signal)
  const [, publicKey = '', blob = ''] = /^(ssh-ed25519 (\S+))/m.exec(said) ?? []
  const hash = createHash('sha256').update(Buffer.from(blob, 'base64')).digest('base64')
  return { file, publicKey, fingerprint: `SHA256:${hash.replace(/=+$/, '')}` }
}

/** Makes a key pair whose private half is in OpenSSH's format. */
export async function createClientKey(
  directory: string,
  signal: AbortSignal,
): Promise<{ file: string; publicKey: string }> {
  const { file: dropbearFile, publicKey } = await createKey(join(directory, 'client_key.dropbear'), signal)
  const file = join(directory, 'client_key')
  await run(['dropbearconvert', 'dropbear', 'openssh', dropbearFile, file], '', signal)
  return { file, publicKey }
}

import { createHash, generateKeyPair } from 'node:crypto'
import { mkdir, readFile, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { promisify } from 'node:util'
import { DIR_PORT } from '../plan.ts'
import { base32 } from './base32.ts'
import { run } from './run.ts'

/**
 * Makes a relay's RSA identity in its `DataDirectory` ahead of its first start, and returns its fingerprint: SHA-1 of
 * the DER-encoded PKCS#1 public key (tor-spec, "Relay identity"). Tor makes the rest of its keys itself.
 */
export async function createRelayIdentity(dataDirectory: string): Promise<string> {
  await mkdir(join(dataDirectory, 'keys'), { recursive: true, mode: 0o700 })
  const { publicKey, privateKey } = await promisify(generateKeyPair)('rsa', {
    modulusLength: 1024,
    publicExponent: 65537,
    publicKeyEncoding: { type: 'pkcs1', format: 'der' },
    privateKeyEncoding: { type: 'pkcs1', format: 'pem' },
  })
  await writeFile(join(dataDirectory, 'keys', 'secret_id_key'), privateKey, { mode: 0o600 })
  return createHash('sha1').update(publicKey).digest('hex').toUpperCase()
}

/** Makes an authority's identity and signing keys, and returns the fingerprint of the identity: its `v3ident`. */
export async function createAuthorityKeys(
  dataDirectory: string,
  address: string,
  signal: AbortSignal,
): Promise<string> {
  const keys = join(dataDirectory, 'keys')
  await mkdir(keys, { recursive: true, mode: 0o700 })
  const certificate = join(keys, 'authority_certificate')
  await run(
    [
      'tor-gencert',
      ...['--create-identity-key', '--passphrase-fd', '0', '-a', `${address}:${DIR_PORT}`, '-m', '12'],
      ...['-i', join(keys, 'authority_identity_key'), '-s', join(keys, 'authority_signing_key'), '-c', certificate],
    ],
    'not a secret: the keys live as long as the network\n',
    signal,
  )
  const v3ident = /^fingerprint ([0-9A-F]{40})$/m.exec(await readFile(certificate, 'utf8'))?.[1]
  if (v3ident === undefined) throw new Error(`Cannot read the certificate made by tor-gencert: no fingerprint in it`)
  return v3ident
}

export interface ClientAuthKeys {
  /** What the service is given: a line of `authorized_clients/NAME.auth`. */
  readonly serviceLine: string
  readonly privateKey: Buffer
}

/** Makes an x25519 key pair by which a client may use an onion service (rend-spec-v3, "Client authorization"). */
export async function createClientAuthKeys(): Promise<ClientAuthKeys> {
  const { publicKey, privateKey } = await promisify(generateKeyPair)('x25519')
  return {
    serviceLine: `descriptor:x25519:${base32(rawKey(publicKey.export({ format: 'jwk' }).x))}\n`,
    privateKey: rawKey(privateKey.export({ format: 'jwk' }).d),
  }
}

function rawKey(base64url: string | undefined): Buffer {
  if (base64url === undefined) throw new Error('Cannot export an x25519 key: the JWK lacks it')
  return Buffer.from(base64url, 'base64url')
}

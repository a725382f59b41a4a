import { hkdfSync } from 'node:crypto'
import type { ConnectionOptions, TlsOptions } from 'node:tls'

/** A replica's worker port: an IP address, IPv6 without brackets, and a port. */
export interface PortAddress {
  readonly host: string
  readonly port: number
}

/** Says what the key is of, and nothing of who asks: it goes over the wire in the clear. */
const PSK_IDENTITY = 'cbtor worker port 1'

/** The one hash that goes with a key from outside (RFC 8446, 4.2.11). Each connection gets secrets of its own (ECDHE). */
const ONLY = { minVersion: 'TLSv1.3', maxVersion: 'TLSv1.3', ciphers: 'TLS_AES_128_GCM_SHA256' } as const

/** 32 bytes that only the replicas of this pool know. `secret`: the pool's, at least 32 bytes. */
export function workerPortKey(secret: Buffer): Buffer {
  if (secret.length < 32)
    throw new RangeError(`Cannot derive the key of the worker port: the secret has ${secret.length} bytes of 32`)
  return Buffer.from(hkdfSync('sha256', secret, '', 'cbtor worker port', 32))
}

/** TLS 1.3 without any certificate: whoever does not have the key gets no further than the handshake. */
export function ofServer(key: Buffer): TlsOptions {
  return { ...ONLY, allowHalfOpen: true, pskCallback: (_socket, identity) => (identity === PSK_IDENTITY ? key : null) }
}

/**
 * The same for who dials. A client that offers a key also takes a certificate from a server that has none of it; so nobody is an
 * authority here, and the name of no certificate is right. With the key, neither is asked.
 */
export function ofClient(key: Buffer): ConnectionOptions {
  return {
    ...ONLY,
    ca: [],
    // Whatever Node is told of certificates by its environment.
    rejectUnauthorized: true,
    checkServerIdentity: () => new Error('it showed a certificate in place of the key of this pool'),
    pskCallback: () => ({ psk: key, identity: PSK_IDENTITY }),
  }
}

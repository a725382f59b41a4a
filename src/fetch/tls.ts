import { once } from 'node:events'
import { isIP } from 'node:net'
import type { Duplex } from 'node:stream'
import {
  type ConnectionOptions,
  checkServerIdentity,
  connect,
  createSecureContext,
  getCACertificates,
  type TLSSocket,
} from 'node:tls'
import { abortable } from '../lib/abort.ts'
import { tlsFailure } from './failure.ts'

/** Speaks TLS over a stream. Rejects with the code of the fault (`tls_…`) or the signal's reason, and the stream is destroyed. */
export type Handshake = (stream: Duplex, host: string, signal: AbortSignal) => Promise<TLSSocket>

/**
 * TLS 1.2 or newer with certificates verified against Node's authorities (to which NODE_EXTRA_CA_CERTS and
 * --use-system-ca add) and `extraCa`, in PEM. Every handshake is a full one: no session is ever resumed, so none can
 * link two connections, and there is no early data.
 */
export function createHandshake(extraCa: readonly string[] = []): Handshake {
  const secureContext = createSecureContext({
    minVersion: 'TLSv1.2',
    ...(extraCa.length > 0 && { ca: [...getCACertificates('default'), ...extraCa] }),
  })

  return async (stream, host, signal) => {
    const options: ConnectionOptions = {
      socket: stream,
      secureContext,
      // Said, because NODE_TLS_REJECT_UNAUTHORIZED in the environment would change the default.
      rejectUnauthorized: true,
      ALPNProtocols: ['http/1.1'],
      // RFC 6066, section 3: an address is no server name.
      servername: isIP(host) === 0 ? host : '',
      checkServerIdentity: (_name, certificate) => checkServerIdentity(host, certificate),
    }
    const socket = connect(options)
    try {
      await abortable(once(socket, 'secureConnect'), signal)
      return socket
    } catch (error) {
      socket.on('error', () => {}).destroy()
      stream.destroy()
      throw signal.aborted ? signal.reason : tlsFailure(error)
    }
  }
}

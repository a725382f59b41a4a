import type { SecureContextOptions } from 'node:tls'

/** Within which a client has to have shaken hands. */
export const TLS_HANDSHAKE_MS = 10_000

/** What a listener needs in order to speak TLS: `certificate.ts` has it. */
export interface ServerTls {
  readonly context: SecureContextOptions
  /** Calls back with each context that takes the place of the one before, for new connections. */
  onChange(listener: (context: SecureContextOptions) => void): void
}

import { Server as SecuredServer } from 'node:https'
import { CbtorError } from '../domain/errors.ts'
import type { Clock } from '../lib/clock.ts'
import type { Logger } from '../lib/log.ts'
import type { Random } from '../lib/random.ts'
import { type ListenAddress, showListenAddress, staysOnMachine } from '../listen/address.ts'
import { shareByAddress } from '../listen/address-share.ts'
import { bind } from '../listen/bind.ts'
import type { ServerTls } from '../listen/tls.ts'
import { createApiApp } from './app.ts'
import type { Backend } from './backend.ts'
import { AllowedHosts } from './caller-rules.ts'
import type { Keys } from './keys.ts'

export interface ApiServerOptions {
  readonly backend: Backend
  readonly keys: Keys
  /** Whether requests must come with a key. */
  readonly auth: 'on' | 'off'
  readonly logger: Logger
  readonly clock: Clock
  readonly random: Random
  /** Values of Host to answer for besides this machine's loopback names and addresses: `name` or `name:port`. */
  readonly allowedHosts?: readonly string[]
  /** What clients speak with us in; plain when left out. */
  readonly tls?: ServerTls | undefined
  /** Whether it may listen where others can reach it, because it asks for keys and they are not sent in the clear. Default false. */
  readonly mayBeExposed?: boolean
  /** Connections at the same time; further ones are closed at once. Default 4096. */
  readonly maxConnections?: number
  /** How long running requests may go on once the server is being closed. Default 10 s. */
  readonly closeWithinMs?: number
}

export interface ListeningApi {
  readonly address: ListenAddress
  /** Without a slash at its end: `http://127.0.0.1:32211`; `unix:/run/cbtor.sock` for a unix socket. */
  readonly url: string
}

export interface ApiServer extends AsyncDisposable {
  /** Listens; port 0 takes a free one. Rejects with `invalid_input` when the address cannot be had, or may not be (`mayBeExposed`). */
  listen(address: ListenAddress): Promise<ListeningApi>
  /** Other values of Host to answer for, as `allowedHosts`. */
  allowHosts(names: readonly string[]): void
  /** Takes no new requests, lets running ones finish, and ends their connections after `closeWithinMs`. */
  close(): Promise<void>
}

export async function createApiServer(options: ApiServerOptions): Promise<ApiServer> {
  const { clock, tls, mayBeExposed = false, closeWithinMs = 10_000 } = options
  const allowedHosts = new AllowedHosts(options.allowedHosts)
  const app = await createApiApp({ ...options, allowedHosts })
  const { server } = app
  server.maxConnections = options.maxConnections ?? 4_096
  if (server instanceof SecuredServer) {
    tls?.onChange((context) => server.setSecureContext(context))
    shareByAddress(server)
  }

  async function close(): Promise<void> {
    using _cut = clock.timer(closeWithinMs, () => server.closeAllConnections())
    await app.close()
  }

  return {
    async listen(address) {
      if (!mayBeExposed && !staysOnMachine(address)) {
        const reason = 'without keys and TLS the API answers on loopback or a unix socket only'
        throw new CbtorError('invalid_input', `Cannot listen on ${showListenAddress(address)}: ${reason}`)
      }
      const bound = await bind(server, address)
      const shown = showListenAddress(bound)
      if ('path' in bound) {
        allowedHosts.addUnixSocket()
        return { address: bound, url: shown }
      }
      // The address as it was given and as the system has it may be two ways to write one.
      for (const form of [address, bound]) allowedHosts.addLoopback(bound.port, urlHost(form))
      return { address: bound, url: `${tls === undefined ? 'http' : 'https'}://${shown}` }
    },
    allowHosts: (names) => allowedHosts.reconfigure(names),
    close,
    [Symbol.asyncDispose]: close,
  }
}

/** Of an address, as it stands in a URL. */
function urlHost(address: ListenAddress): string {
  return 'path' in address ? 'localhost' : address.host.includes(':') ? `[${address.host}]` : address.host
}

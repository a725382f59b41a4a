import type { AddressInfo } from 'node:net'
import { isIP } from 'node:net'
import { CbtorError } from '../domain/errors.ts'
import type { Clock } from '../lib/clock.ts'
import type { Logger } from '../lib/log.ts'
import { isLoopbackAddress } from '../lib/loopback.ts'
import type { Random } from '../lib/random.ts'
import { createApiApp } from './app.ts'
import type { Backend } from './backend.ts'
import { AllowedHosts } from './caller-rules.ts'

export interface ApiServerOptions {
  readonly backend: Backend
  readonly logger: Logger
  readonly clock: Clock
  readonly random: Random
  /** Values of Host to answer for besides this machine's loopback names: `name` or `name:port` as clients send it. */
  readonly allowedHosts?: readonly string[]
  /** How long running requests may go on once the server is being closed. Default 10 s. */
  readonly closeWithinMs?: number
  /**
   * Makes the requests that are still running end at once, so that there is time left to answer them. Called when four
   * fifths of `closeWithinMs` are over, unless none was running.
   */
  readonly giveUp?: () => void
}

export interface ListeningApi {
  readonly host: string
  readonly port: number
  /** Without a slash at its end: `http://127.0.0.1:32211`. */
  readonly url: string
}

export interface ApiServer extends AsyncDisposable {
  /**
   * Listens on a loopback address; port 0 takes a free one. Rejects with `invalid_input` for any other address (there is
   * no authentication yet) and when the address cannot be had.
   */
  listen(address: { readonly host: string; readonly port: number }): Promise<ListeningApi>
  /** Takes no new requests, lets running ones finish, gives them up, and ends their connections after `closeWithinMs`. */
  close(): Promise<void>
}

export async function createApiServer(options: ApiServerOptions): Promise<ApiServer> {
  const { clock, closeWithinMs = 10_000, giveUp = () => {} } = options
  const allowedHosts = new AllowedHosts(options.allowedHosts)
  const app = await createApiApp({ ...options, allowedHosts })

  async function close(): Promise<void> {
    using _answer = clock.timer(closeWithinMs * 0.8, giveUp)
    using _cut = clock.timer(closeWithinMs, () => app.server.closeAllConnections())
    await app.close()
  }

  return {
    async listen({ host, port }) {
      const address = loopbackAddress(host)
      const shown = isIP(address) === 6 ? `[${address}]` : address
      try {
        await app.listen({ host: address, port })
      } catch (cause) {
        const reason = cause instanceof Error && 'code' in cause ? cause.code : cause
        throw new CbtorError('invalid_input', `Cannot listen on ${shown}:${port}: ${reason}`, { cause })
      }
      const bound = app.server.address() as AddressInfo
      allowedHosts.addLoopback(bound.port, shown)
      return { host: address, port: bound.port, url: `http://${shown}:${bound.port}` }
    },
    close,
    [Symbol.asyncDispose]: close,
  }
}

function loopbackAddress(host: string): string {
  const address = host.toLowerCase() === 'localhost' ? '127.0.0.1' : host
  if (isLoopbackAddress(address)) return address
  throw new CbtorError(
    'invalid_input',
    `Cannot listen on "${host}": without authentication the API answers on loopback only (127.0.0.1, ::1 or localhost)`,
  )
}

import type { Socket } from 'node:net'
import { SOCKS_VERSION } from '../lib/socks5.ts'
import type { Port, PortOptions, Served } from './port.ts'
import { SOCKS4_VERSION } from './socks/messages.ts'

/** One port for both protocols: no HTTP message begins with the byte that a SOCKS client begins with. */
export class TellApart implements Port {
  readonly #options: Pick<PortOptions, 'clock' | 'limits'>
  readonly #ports: { readonly http: Port; readonly socks: Port }

  constructor(options: Pick<PortOptions, 'clock' | 'limits'>, ports: { readonly http: Port; readonly socks: Port }) {
    this.#options = options
    this.#ports = ports
  }

  serve(client: Socket): Served {
    const { clock, limits } = this.#options
    const timer = clock.timer(limits.handshakeMs, () => client.destroy())
    let served: Served = { drain: () => client.destroy() }
    const onData = (first: Buffer) => {
      stop()
      client.pause()
      client.unshift(first)
      const isSocks = first[0] === SOCKS_VERSION || first[0] === SOCKS4_VERSION
      served = (isSocks ? this.#ports.socks : this.#ports.http).serve(client)
      client.resume()
    }
    const onGone = () => {
      stop()
      client.destroy()
    }
    const stop = () => {
      timer[Symbol.dispose]()
      client.off('data', onData).off('end', onGone).off('close', onGone)
    }
    client.on('error', () => {})
    client.on('data', onData).on('end', onGone).on('close', onGone)
    return { drain: () => served.drain() }
  }
}

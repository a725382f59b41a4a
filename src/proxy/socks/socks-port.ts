import type { Socket } from 'node:net'
import { CbtorError } from '../../domain/errors.ts'
import { ClientBytes } from '../client-bytes.ts'
import { endGently } from '../end-gently.ts'
import { inTime, runTunnel } from '../open-tunnel.ts'
import type { Port, PortOptions, Served } from '../port.ts'
import { problemOf } from '../problem-of.ts'
import { keyGone, routingOf } from '../routing.ts'
import { type Doorkeeper, SocksRefusal, type SocksRequest, serveHandshake } from './handshake.ts'
import { REPLY, reply, replyCodeOf } from './messages.ts'

/** A SOCKS5 proxy: CONNECT and Tor's RESOLVE. */
export class SocksPort implements Port {
  readonly #options: PortOptions
  readonly #door: Doorkeeper

  constructor(options: PortOptions) {
    const { backend } = options
    this.#options = options
    const admit = (userName: string, password: string | undefined) => {
      const caller = backend.authenticate(password)
      if (caller !== undefined) return { ...routingOf(backend, caller, userName), via: 'socks' as const }
      throw new CbtorError('proxy_auth_required', 'Cannot come in: wrong password')
    }
    this.#door = {
      get requiresPassword() {
        return backend.requiresPassword
      },
      withoutCredentials: () => admit('', undefined),
      withCredentials: admit,
    }
  }

  serve(client: Socket): Served {
    let isBusy = false
    const bytes = new ClientBytes(client)
    void this.#serve(client, bytes, () => {
      isBusy = true
    })
    return {
      drain() {
        if (!isBusy) client.destroy()
      },
    }
  }

  /** Never rejects. */
  async #serve(client: Socket, bytes: ClientBytes, onRequest: () => void): Promise<void> {
    try {
      const request = await this.#shakeHands(client, bytes)
      onRequest()
      if (request.command === 'connect') await this.#tunnel(request, client, bytes)
      else await this.#lookUp(request, client, bytes)
    } catch (error) {
      this.#refuse(client, bytes, error)
    }
  }

  async #shakeHands(client: Socket, bytes: ClientBytes): Promise<SocksRequest> {
    const { clock, limits } = this.#options
    using _ = clock.timer(limits.handshakeMs, () => client.destroy())
    const handshake = serveHandshake(this.#door)
    let next = handshake.next()
    while (!next.done) {
      const step = next.value
      switch (step.type) {
        case 'write':
          client.write(step.bytes)
          next = handshake.next()
          break
        case 'read':
          next = handshake.next(bytes.readAtOnce(step.count) ?? (await bytes.read(step.count)))
          break
      }
    }
    return next.value
  }

  async #tunnel({ host, port, routing }: SocksRequest, client: Socket, bytes: ClientBytes): Promise<void> {
    // What a client sends ahead often comes in a packet of its own, right behind its request.
    await new Promise((resolve) => setImmediate(resolve))
    const accept = () => client.write(reply(REPLY.succeeded))
    await runTunnel(this.#options, { ...routing, host, port }, { socket: client, bytes, accept })
  }

  async #lookUp({ host, routing }: SocksRequest, client: Socket, bytes: ClientBytes): Promise<void> {
    bytes.watch()
    const { backend } = this.#options
    using _gone = backend.onGone(routing.caller, () => bytes.giveUp(keyGone()))
    const address = await inTime(bytes, this.#options, (signal) => backend.resolve({ ...routing, host }, signal))
    bytes[Symbol.dispose]()
    client.write(reply(REPLY.succeeded, address))
    endGently(client, this.#options.clock)
  }

  #refuse(client: Socket, bytes: ClientBytes, error: unknown): void {
    const why = bytes.signal.aborted ? bytes.signal.reason : error
    bytes[Symbol.dispose]()
    const { logger } = this.#options
    if (why instanceof SocksRefusal) {
      logger.debug({ port: 'socks', reason: why.message }, 'request refused')
      if (why.answer === undefined) client.destroy()
      else client.write(why.answer)
    } else {
      const { code } = problemOf(why, this.#options, 'socks')
      logger.debug({ port: 'socks', code }, 'request refused')
      if (code === 'client_gone') client.destroy()
      else client.write(reply(replyCodeOf(code)))
    }
    endGently(client, this.#options.clock)
  }
}

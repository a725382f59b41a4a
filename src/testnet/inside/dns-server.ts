import { createSocket, type Socket } from 'node:dgram'
import { once } from 'node:events'
import type { DnsFault, LoggedQuery } from '../protocol.ts'
import { CLASS_IN, encodeAnswer, parseQuery, RCODE, TYPE_A } from './dns-message.ts'

const KEPT_QUERIES = 100_000

/** The resolver of the exits: answers over UDP, remembers what it was asked, and fails when told to. */
export class DnsServer implements AsyncDisposable {
  fault: DnsFault = 'ok'
  readonly queries: LoggedQuery[] = []
  readonly #resolve: (name: string) => string | undefined
  readonly #socket: Socket

  private constructor(socket: Socket, resolve: (name: string) => string | undefined) {
    this.#socket = socket
    this.#resolve = resolve
  }

  /** `resolve` gives the IPv4 address of a name, or undefined where there is no such name. */
  static async listen(
    address: string,
    port: number,
    resolve: (name: string) => string | undefined,
  ): Promise<DnsServer> {
    const socket = createSocket('udp4')
    const server = new DnsServer(socket, resolve)
    socket.on('message', (message, { address: from, port: fromPort }) => {
      const answer = server.#answer(message, from)
      if (answer) socket.send(answer, fromPort, from)
    })
    socket.bind(port, address)
    await once(socket, 'listening')
    // An answer that cannot be sent is one that the resolver will ask for again.
    socket.on('error', () => {})
    return server
  }

  get port(): number {
    return this.#socket.address().port
  }

  async [Symbol.asyncDispose](): Promise<void> {
    const closed = once(this.#socket, 'close')
    this.#socket.close()
    await closed
  }

  #answer(message: Buffer, from: string): Buffer | undefined {
    const query = parseQuery(message)
    if (!query) return undefined
    this.queries.push({ name: query.name.toLowerCase(), type: query.type, from })
    if (this.queries.length > KEPT_QUERIES) this.queries.shift()

    if (this.fault === 'timeout') return undefined
    if (this.fault === 'servfail') return encodeAnswer(query, RCODE.serverFailure, [])
    const address = this.fault === 'nxdomain' ? undefined : this.#resolve(query.name)
    if (address === undefined) return encodeAnswer(query, RCODE.nameError, [])
    const wanted = query.type === TYPE_A && query.class === CLASS_IN
    return encodeAnswer(query, RCODE.ok, wanted ? [address] : [])
  }
}

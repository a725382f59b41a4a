import { once } from 'node:events'
import { connect, type Socket } from 'node:net'
import { FakeClock } from '../lib/fake-clock.ts'
import type { LogFields, Logger } from '../lib/log.ts'
import { systemRandom } from '../lib/random.ts'
import type { TcpAddress } from '../listen/address.ts'
import { FakeBackend } from './fake-backend.ts'
import { ProxyListener, type ProxyListenerOptions, type ProxyProtocol } from './listener.ts'

/** A port that listens, and clients of it that keep all that they receive. */
export async function startPort(protocol: ProxyProtocol, options: Partial<ProxyListenerOptions> = {}) {
  const backend = new FakeBackend()
  const clock = new FakeClock()
  const logger = new MemoryLogger()
  const listener = new ProxyListener({ backend, clock, logger, random: systemRandom, ...options })
  const { port } = (await listener.listen(protocol, { host: '127.0.0.1', port: 0 })) as TcpAddress
  const clients: Client[] = []
  return {
    backend,
    clock,
    logger,
    listener,
    port,
    async dial(): Promise<Client> {
      const socket = connect({ port, host: '127.0.0.1', allowHalfOpen: true, noDelay: true })
      const client = new Client(socket)
      clients.push(client)
      await once(socket, 'connect')
      return client
    },
    /** Resolves once nothing of any client is left. */
    async isQuiet(): Promise<void> {
      while (listener.connections > 0 || backend.open > 0) await turn()
    },
    async [Symbol.asyncDispose]() {
      for (const { socket } of clients) socket.destroy()
      const closed = listener[Symbol.asyncDispose]()
      await clock.advance(10_000) // cuts off what a failed test has left open
      await closed
      await backend[Symbol.asyncDispose]()
    },
  }
}

export class Client {
  readonly socket: Socket
  received = Buffer.alloc(0)
  /** How the server ended it. */
  readonly closed: Promise<'end' | 'reset'>
  #changed: () => void = () => {}

  constructor(socket: Socket) {
    this.socket = socket
    const { promise, resolve } = Promise.withResolvers<'end' | 'reset'>()
    this.closed = promise
    socket.on('data', (chunk: Buffer) => {
      this.received = Buffer.concat([this.received, chunk])
      this.#changed()
    })
    socket.on('end', () => {
      resolve('end')
      this.#changed()
    })
    socket.on('error', () => {})
    socket.on('close', () => {
      resolve('reset')
      this.#changed()
    })
  }

  get text(): string {
    return this.received.toString('latin1')
  }

  send(bytes: string | Uint8Array): void {
    this.socket.write(typeof bytes === 'string' ? Buffer.from(bytes, 'latin1') : bytes)
  }

  /** Resolves with all that has come once `until` is in it; rejects when the end comes before. */
  async reads(until: string | number | RegExp): Promise<string> {
    for (;;) {
      const { text } = this
      if (
        typeof until === 'number'
          ? text.length >= until
          : until instanceof RegExp
            ? until.test(text)
            : text.includes(until)
      )
        return text
      if (this.socket.readableEnded || this.socket.destroyed) throw new Error(`The end came before ${until}: ${text}`)
      await new Promise<void>((resolve) => {
        this.#changed = resolve
      })
    }
  }

  /** All that has come, once the server has ended it. */
  async readsAll(): Promise<string> {
    await this.closed
    return this.text
  }
}

export class MemoryLogger implements Logger {
  readonly lines: { readonly level: string; readonly fields: LogFields; readonly message: string }[] = []
  readonly #fields: LogFields

  constructor(fields: LogFields = {}, lines?: MemoryLogger['lines']) {
    this.#fields = fields
    if (lines) this.lines = lines
  }

  error(fields: LogFields, message: string): void {
    this.#add('error', fields, message)
  }
  warn(fields: LogFields, message: string): void {
    this.#add('warn', fields, message)
  }
  info(fields: LogFields, message: string): void {
    this.#add('info', fields, message)
  }
  debug(fields: LogFields, message: string): void {
    this.#add('debug', fields, message)
  }
  child(fields: LogFields): Logger {
    return new MemoryLogger({ ...this.#fields, ...fields }, this.lines)
  }

  #add(level: string, fields: LogFields, message: string): void {
    this.lines.push({ level, fields: { ...this.#fields, ...fields }, message })
  }
}

export function turn(): Promise<void> {
  return new Promise((resolve) => setImmediate(resolve))
}

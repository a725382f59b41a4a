import { Redis, type RedisOptions } from 'ioredis'
import type { Clock } from '../lib/clock.ts'
import { StoreError } from '../store/store-error.ts'
import { type StoreArgument, StoreRefuses, StoreUnavailable } from './store-link.ts'
import { type StoreAddress, showStoreAddress } from './store-url.ts'

/** Where the store is, and how it lets us in. */
export interface StoreAccess {
  readonly address: StoreAddress
  readonly password: string | undefined
  /** The authority of its certificate in PEM; undefined: those of the system. */
  readonly ca: string | undefined
  /** What the store calls our connections, for who looks at it: letters, digits and hyphens. */
  readonly clientName: string
}

export interface ConnectionOptions {
  readonly access: StoreAccess
  readonly clock: Clock
  readonly onEnd: (reason: StoreUnavailable) => void
  readonly onMessage?: (channel: string, message: string) => void
}

/** Whoever has not answered by then is not asked any further. */
const ANSWER_MS = 2_000
/** How long the other side of a connection that we end may take to end it, too. */
const PARTING_MS = 100

/** For now it cannot do what it was asked, though it answers: it runs a long script, its disk or memory is full, it has too many clients. */
const NOT_NOW = /^(?:BUSY|OOM|MISCONF|NOREPLICAS|TRYAGAIN|ERR max number of clients)\b/
/** It is not what it was when the connection was made: it loads what it had, or has become the replica of another one. */
const IS_ANOTHER = /^(?:LOADING|MASTERDOWN|READONLY|CLUSTERDOWN)\b/
/** Of a certificate, or of a server that does not speak TLS. */
const TLS_FAULT = /CERT|TLS|SSL|EPROTO|UNABLE_TO|SELF_SIGNED/

/** What who makes connections of his own by ioredis gives it. */
export function redisOptions(access: StoreAccess): RedisOptions {
  const { user, db } = access.address
  const { password, clientName } = access
  return {
    ...socketOptions(access),
    ...{ db, connectionName: clientName, disableClientInfo: true },
    ...(user !== undefined && { username: user }),
    ...(password !== undefined && { password }),
  }
}

function socketOptions({ address: { at, hasTls }, ca }: StoreAccess): RedisOptions {
  return {
    ...('path' in at ? { path: at.path } : { host: at.host, port: at.port }),
    ...(hasTls && { tls: { minVersion: 'TLSv1.2', ...(ca !== undefined && { ca }) } }),
    connectTimeout: ANSWER_MS,
  }
}

/**
 * One connection to the store, from its beginning to its end: it is never made anew. Whoever is not answered within 2 s, or when it
 * ends, hears so by a `StoreUnavailable`; the first such silence ends it.
 */
export class ValkeyConnection implements Disposable {
  readonly #redis: Redis
  readonly #clock: Clock
  readonly #waiting = new Set<(error: StoreUnavailable) => void>()
  readonly #onEnd: (reason: StoreUnavailable) => void
  #fault: Error | undefined
  #ended: StoreUnavailable | undefined

  private constructor(
    access: StoreAccess,
    clock: Clock,
    onEnd: (reason: StoreUnavailable) => void,
    onMessage: (channel: string, message: string) => void,
  ) {
    this.#clock = clock
    this.#onEnd = onEnd
    const options: RedisOptions & { replyMapping: 'legacy' } = {
      ...socketOptions(access),
      // Subscribing, logging in and choosing the database are ours: what it does by itself it does again and again, and says by console.
      ...{ protocol: 2, replyMapping: 'legacy', lazyConnect: true, enableReadyCheck: false, disableClientInfo: true },
      ...{ enableOfflineQueue: false, autoResubscribe: false, autoResendUnfulfilledCommands: false },
      ...{ retryStrategy: null, disconnectTimeout: PARTING_MS },
    }
    this.#redis = new Redis(options)
    this.#redis.on('error', (error) => {
      this.#fault ??= error
    })
    this.#redis.on('close', () => this.#end(this.#fault?.message ?? 'it has closed the connection'))
    this.#redis.on('message', onMessage)
  }

  /** Rejects with a `StoreError`. `onEnd` is called once, but not for one that did not come about. `signal`: while it is opened. */
  static async open(
    { access, clock, onEnd, onMessage = () => {} }: ConnectionOptions,
    signal: AbortSignal,
  ): Promise<ValkeyConnection> {
    let isOpen = false
    const connection = new ValkeyConnection(access, clock, (reason) => isOpen && onEnd(reason), onMessage)
    const onAbort = () => connection[Symbol.dispose]()
    signal.addEventListener('abort', onAbort)
    try {
      signal.throwIfAborted()
      await connection.#open(access)
      isOpen = true
      return connection
    } catch (error) {
      const fault = connection.#fault ?? error
      connection[Symbol.dispose]()
      throw storeError(access.address, fault)
    } finally {
      signal.removeEventListener('abort', onAbort)
    }
  }

  /** Rejects with what the store has against it, or with a `StoreUnavailable`. Texts come as strings. */
  async call(command: string, ...args: readonly StoreArgument[]): Promise<unknown> {
    return await this.#answer(() => this.#redis.call(command, ...args))
  }

  /** From then on it can be asked nothing but for a sign of life, and for other channels. */
  async subscribe(channels: readonly string[]): Promise<void> {
    if (channels.length > 0) await this.#answer(() => this.#redis.subscribe(...channels))
  }

  async unsubscribe(channel: string): Promise<void> {
    await this.#answer(() => this.#redis.unsubscribe(channel))
  }

  async ping(): Promise<void> {
    await this.#answer(() => this.#redis.ping())
  }

  [Symbol.dispose](): void {
    this.#end('it is not asked any more')
  }

  async #open({ address: { user, db }, password, clientName }: StoreAccess): Promise<void> {
    await this.#redis.connect()
    if (password !== undefined) await this.call('AUTH', user ?? 'default', password)
    // What is not allowed in without a password says so here.
    await this.call('PING')
    if (db > 0) await this.call('SELECT', db)
    await this.call('CLIENT', 'SETNAME', clientName).catch(() => {})
  }

  async #answer(ask: () => Promise<unknown>): Promise<unknown> {
    if (this.#ended !== undefined) throw this.#ended
    const { promise, resolve, reject } = Promise.withResolvers<unknown>()
    this.#waiting.add(reject)
    // If it was us who stood still, the answer may lie there already.
    using _late = this.#clock.timer(ANSWER_MS, () =>
      setImmediate(() => this.#waiting.has(reject) && this.#end(`it has not answered within ${ANSWER_MS} ms`)),
    )
    try {
      ask().then(resolve, (error) => reject(this.#asOurs(error)))
      return await promise
    } finally {
      this.#waiting.delete(reject)
    }
  }

  #asOurs(error: unknown): unknown {
    if (!(error instanceof Error && error.name === 'ReplyError')) return this.#unavailable(messageOf(error))
    // The client adds what was asked, which may be a secret.
    const said = new Error(`The store refused it: ${error.message}`)
    if (IS_ANOTHER.test(error.message)) {
      this.#end(error.message)
      return this.#unavailable(error.message)
    }
    return NOT_NOW.test(error.message) ? new StoreRefuses(said.message) : said
  }

  #unavailable(reason: string): StoreUnavailable {
    return this.#ended ?? new StoreUnavailable(`The shared store cannot be asked: ${reason}`)
  }

  #end(reason: string): void {
    if (this.#ended !== undefined) return
    const error = this.#unavailable(reason)
    this.#ended = error
    for (const reject of this.#waiting) reject(error)
    this.#redis.disconnect()
    this.#onEnd(error)
  }
}

function messageOf(error: unknown): string {
  return error instanceof Error ? error.message : String(error)
}

/** Why it cannot be had, and whether that may pass. */
function storeError(address: StoreAddress, error: unknown): StoreError {
  const at = `Cannot reach the shared store at ${showStoreAddress(address)}`
  const text = messageOf(error)
  const { code = '' } = error as NodeJS.ErrnoException
  if (error instanceof StoreUnavailable) return new StoreError('unreachable', `${at}: ${text}`)
  if (TLS_FAULT.test(code)) return new StoreError('refused', `${at}: TLS failed: ${text}: see cluster.ca_file`)
  if (/WRONGPASS|NOAUTH|NOPERM|AUTH/.test(text))
    return new StoreError('refused', `${at}: it does not let us in: ${text}: see cluster.password_file`)
  if (/^The store refused it/.test(text)) return new StoreError('refused', `${at}: ${text}`)
  if (/RESP|protocol error/i.test(text))
    return new StoreError('refused', `${at}: what answers there is neither Valkey nor Redis`)
  return new StoreError('unreachable', `${at}: ${text}`)
}

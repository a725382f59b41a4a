import { createHash } from 'node:crypto'
import { backoffMs } from '../lib/backoff.ts'
import type { Clock } from '../lib/clock.ts'
import { Listeners } from '../lib/listeners.ts'
import type { Logger } from '../lib/log.ts'
import type { Random } from '../lib/random.ts'
import { type Script, type StoreArgument, type StoreLink, StoreUnavailable } from './store-link.ts'
import { showStoreAddress } from './store-url.ts'
import { type StoreAccess, ValkeyConnection } from './valkey-connection.ts'

export interface ValkeyLinkOptions {
  readonly access: StoreAccess
  /** What the names of all our keys and channels begin with. */
  readonly prefix: string
  readonly clock: Clock
  readonly random: Random
  readonly logger: Logger
  /** Looks at the store each time that a connection is made, before anything else is asked of it. Rejects when it is not one to work with. */
  verify(call: StoreLink['call']): Promise<void>
}

/** Between signs of life: a store that stands still is noticed within 3 s. */
const PING_MS = 1_000
const [FIRST_WAIT_MS, LONGEST_WAIT_MS] = [50, 1_000]

/** One to ask by, one to hear by: who listens on a connection cannot ask by it. */
interface Pair extends Disposable {
  readonly asking: ValkeyConnection
  readonly hearing: ValkeyConnection
  /** The channels that are subscribed. */
  readonly channels: Set<string>
}

interface Subscribers {
  readonly listeners: Listeners<string>
  count: number
}

/** The way to a Valkey or Redis. It is made anew, after a second at most, until it is disposed. */
export class ValkeyLink implements StoreLink, AsyncDisposable {
  /** For who has connections of its own. */
  readonly access: StoreAccess
  readonly #options: ValkeyLinkOptions
  readonly #changes: Listeners<boolean>
  readonly #subscribers = new Map<string, Subscribers>()
  readonly #hashes = new Map<string, string>()
  readonly #end = new AbortController()
  #pair: Pair | undefined
  #downSince: number | undefined
  #fault: string | undefined
  #running: Promise<void> = Promise.resolve()

  private constructor(options: ValkeyLinkOptions) {
    this.access = options.access
    this.#options = options
    this.#changes = new Listeners((error) => options.logger.error({ err: error }, 'a listener to the store has failed'))
  }

  /** Rejects with a `StoreError`, or with what `verify` has against the store. `signal`: while it is opened. */
  static async open(options: ValkeyLinkOptions, signal: AbortSignal): Promise<ValkeyLink> {
    const link = new ValkeyLink(options)
    const { promise: lost, resolve } = Promise.withResolvers<StoreUnavailable>()
    const pair = await link.#connect(resolve, signal)
    link.#pair = pair
    link.#running = link.#run(pair, lost)
    return link
  }

  get isUp(): boolean {
    return this.#pair !== undefined
  }

  /** Epoch ms; undefined while it answers. */
  get downSince(): number | undefined {
    return this.#downSince
  }

  onChange(listener: (isUp: boolean) => void): Disposable {
    return this.#changes.add(listener)
  }

  key(name: string): string {
    return `{${this.#options.prefix}}:${name}`
  }

  async call(command: string, ...args: readonly StoreArgument[]): Promise<unknown> {
    return await this.#asking().call(command, ...args)
  }

  async run(script: Script, keys: readonly string[], args: readonly StoreArgument[]): Promise<unknown> {
    if (keys.length !== script.keys)
      throw new RangeError(`${script.name} takes ${script.keys} keys, not ${keys.length}`)
    const asking = this.#asking()
    try {
      return await asking.call('EVALSHA', this.#hashOf(script), keys.length, ...keys, ...args)
    } catch (error) {
      // It does not know it yet, or it was started anew.
      if (!(error instanceof Error && error.message.includes('NOSCRIPT'))) throw error
      return await asking.call('EVAL', script.lua, keys.length, ...keys, ...args)
    }
  }

  subscribe(channel: string, listener: (message: string) => void): Disposable {
    const subscribers = this.#subscribers.get(channel) ?? this.#newSubscribers(channel)
    const entry = subscribers.listeners.add(listener)
    subscribers.count++
    return {
      [Symbol.dispose]: () => {
        entry[Symbol.dispose]()
        if (--subscribers.count > 0) return
        this.#subscribers.delete(channel)
        if (this.#pair?.channels.delete(channel)) this.#pair.hearing.unsubscribe(channel).catch(() => {})
      },
    }
  }

  async [Symbol.asyncDispose](): Promise<void> {
    this.#end.abort(new Error('the link to the store has ended'))
    this.#pair?.[Symbol.dispose]()
    this.#pair = undefined
    await this.#running
  }

  #asking(): ValkeyConnection {
    if (this.#pair === undefined)
      throw new StoreUnavailable(`The shared store cannot be asked: ${this.#fault ?? 'the link to it has ended'}`)
    return this.#pair.asking
  }

  #newSubscribers(channel: string): Subscribers {
    const { logger } = this.#options
    const onError = (error: unknown) => logger.error({ err: error, channel }, 'a listener to the store has failed')
    const subscribers = { listeners: new Listeners<string>(onError), count: 0 }
    this.#subscribers.set(channel, subscribers)
    if (this.#pair !== undefined) this.#subscribeToAll(this.#pair)
    return subscribers
  }

  /** When it fails the connection is lost, and the next one subscribes to all. */
  #subscribeToAll({ hearing, channels }: Pair): void {
    const missing = [...this.#subscribers.keys()].filter((channel) => !channels.has(channel))
    for (const channel of missing) channels.add(channel)
    hearing.subscribe(missing).catch(() => {})
  }

  #hashOf({ name, lua }: Script): string {
    let hash = this.#hashes.get(name)
    if (hash === undefined) {
      hash = createHash('sha1').update(lua).digest('hex')
      this.#hashes.set(name, hash)
    }
    return hash
  }

  async #run(first: Pair, firstLost: Promise<StoreUnavailable>): Promise<void> {
    const { signal } = this.#end
    let [pair, lost] = [first, firstLost]
    for (;;) {
      const reason = await this.#watch(pair, lost)
      if (signal.aborted) return
      this.#turnDown(reason)
      const next = await this.#reconnect(signal)
      if (next === undefined) return
      ;[pair, lost] = next
      this.#turnUp(pair)
    }
  }

  /** Resolves when it is lost. */
  async #watch(pair: Pair, lost: Promise<StoreUnavailable>): Promise<StoreUnavailable> {
    const ended = new AbortController()
    const signal = AbortSignal.any([ended.signal, this.#end.signal])
    this.#ping(pair, signal).catch(() => pair[Symbol.dispose]())
    const reason = await lost
    ended.abort()
    pair[Symbol.dispose]()
    return reason
  }

  async #ping({ asking, hearing }: Pair, signal: AbortSignal): Promise<never> {
    const { clock } = this.#options
    for (;;) {
      await clock.sleep(PING_MS, signal)
      await Promise.all([asking.ping(), hearing.ping()])
    }
  }

  /** Undefined when the link has ended. */
  async #reconnect(signal: AbortSignal): Promise<[Pair, Promise<StoreUnavailable>] | undefined> {
    const { clock, random } = this.#options
    for (let attempt = 0; ; attempt++) {
      await clock.sleep(backoffMs(attempt, FIRST_WAIT_MS, LONGEST_WAIT_MS, random), signal).catch(() => {})
      if (signal.aborted) return undefined
      const { promise: lost, resolve } = Promise.withResolvers<StoreUnavailable>()
      try {
        const pair = await this.#connect(resolve, signal)
        if (!signal.aborted) return [pair, lost]
        pair[Symbol.dispose]()
      } catch (error) {
        this.#tellFault(error)
      }
    }
  }

  /** `onLost` is called when either of the two ends. */
  async #connect(onLost: (reason: StoreUnavailable) => void, signal: AbortSignal): Promise<Pair> {
    const { access, clock, verify } = this.#options
    const options = { access, clock, onEnd: onLost }
    using parts = new DisposableStack()
    const asking = parts.use(await ValkeyConnection.open(options, signal))
    await verify((command, ...args) => asking.call(command, ...args))
    const onMessage = (channel: string, message: string) => this.#hear(channel, message)
    const hearing = parts.use(await ValkeyConnection.open({ ...options, onMessage }, signal))
    const channels = new Set(this.#subscribers.keys())
    await hearing.subscribe([...channels])
    const owned = parts.move()
    return { asking, hearing, channels, [Symbol.dispose]: () => owned.dispose() }
  }

  #hear(channel: string, message: string): void {
    this.#subscribers.get(channel)?.listeners.notify(message)
  }

  #turnDown(reason: StoreUnavailable): void {
    const { clock, logger } = this.#options
    this.#pair = undefined
    this.#fault = reason.message
    this.#downSince = clock.now()
    logger.warn(
      { at: showStoreAddress(this.access.address), reason: reason.message },
      'the shared store does not answer',
    )
    this.#changes.notify(false)
  }

  #turnUp(pair: Pair): void {
    const { clock, logger } = this.#options
    const downMs = clock.now() - (this.#downSince ?? clock.now())
    this.#pair = pair
    this.#fault = undefined
    this.#downSince = undefined
    this.#subscribeToAll(pair) // to what has come since
    logger.info({ at: showStoreAddress(this.access.address), downMs }, 'the shared store answers again')
    this.#changes.notify(true)
  }

  /** The same one again and again is told once. */
  #tellFault(error: unknown): void {
    const fault = error instanceof Error ? error.message : String(error)
    if (fault === this.#fault) return
    this.#fault = fault
    this.#options.logger.warn({ reason: fault }, 'the shared store cannot be used yet')
  }
}

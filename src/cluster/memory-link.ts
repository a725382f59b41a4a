import type { Clock } from '../lib/clock.ts'
import { Listeners } from '../lib/listeners.ts'
import { type Script, type StoreArgument, type StoreLink, StoreUnavailable } from './store-link.ts'

const ANSWER_MS = 2_000
const RECONNECT_MS = 500

/** What stands in for a script: the same in our own language. Instants are those of the store. */
export type MemoryScript = (keys: readonly string[], args: readonly string[], nowMs: number) => unknown

/** The fake of a store that several replicas share, in one process. It knows channels and those scripts that it is given. */
export class MemoryStore {
  readonly #clock: Clock
  readonly #scripts: ReadonlyMap<string, MemoryScript>
  readonly #links = new Set<MemoryLink>()
  /** How far its clock is ahead of everybody's. */
  aheadMs = 0
  #thaw: (() => void) | undefined
  #frozen: Promise<void> | undefined

  /** `scripts`: by the name of the script that each stands in for. */
  constructor(clock: Clock, scripts: ReadonlyMap<string, MemoryScript> = new Map()) {
    this.#clock = clock
    this.#scripts = scripts
  }

  link(): MemoryLink {
    const link = new MemoryLink(
      this.#clock,
      (ask) => this.#do(ask),
      () => this.#frozen !== undefined,
    )
    this.#links.add(link)
    return link
  }

  /** Every link goes at once. What is kept is kept. */
  stop(): void {
    for (const link of this.#links) link.cut()
  }

  start(): void {
    for (const link of this.#links) link.mend()
  }

  /** Like a process that is stopped by a signal: nothing answers, and afterwards it does what it was asked meanwhile. */
  freeze(): void {
    const { promise, resolve } = Promise.withResolvers<void>()
    this.#frozen = promise
    this.#thaw = resolve
  }

  /** Those who have given it up meanwhile find it again. */
  thaw(): void {
    this.#frozen = undefined
    this.#thaw?.()
    this.start()
  }

  async #do(ask: Ask): Promise<unknown> {
    await this.#frozen
    if (ask.script !== undefined) {
      const script = this.#scripts.get(ask.script)
      if (script === undefined) throw new Error(`There is no script ${ask.script}`)
      return script(ask.keys, ask.args, this.#clock.now() + this.aheadMs)
    }
    const [channel = '', message = ''] = ask.args
    for (const link of this.#links) link.hear(channel, message)
    return this.#links.size
  }
}

interface Ask {
  readonly script?: string
  readonly keys: readonly string[]
  readonly args: readonly string[]
}

/** One replica's link to a `MemoryStore`. */
export class MemoryLink implements StoreLink {
  readonly #clock: Clock
  readonly #do: (ask: Ask) => Promise<unknown>
  readonly #isFrozen: () => boolean
  readonly #changes = new Listeners<boolean>(rethrow)
  readonly #subscribers = new Map<string, Listeners<string>>()
  #isUp = true
  #isCut = false
  /** So long does each question take to get there, and each answer and message to come. */
  delayMs = 0

  constructor(clock: Clock, work: (ask: Ask) => Promise<unknown>, isFrozen: () => boolean) {
    this.#clock = clock
    this.#do = work
    this.#isFrozen = isFrozen
  }

  get isUp(): boolean {
    return this.#isUp
  }

  cut(): void {
    this.#isCut = true
    this.#turn(false)
  }

  mend(): void {
    this.#isCut = false
    this.#turn(true)
  }

  onChange(listener: (isUp: boolean) => void): Disposable {
    return this.#changes.add(listener)
  }

  key(name: string): string {
    return `{memory}:${name}`
  }

  async call(command: string, ...args: readonly StoreArgument[]): Promise<unknown> {
    if (command !== 'PUBLISH') throw new Error(`The memory store does not know ${command}`)
    return await this.#ask({ keys: [], args: args.map(String) })
  }

  async run({ name }: Script, keys: readonly string[], args: readonly StoreArgument[]): Promise<unknown> {
    return await this.#ask({ script: name, keys, args: args.map(String) })
  }

  subscribe(channel: string, listener: (message: string) => void): Disposable {
    const listeners = this.#subscribers.get(channel) ?? new Listeners<string>(rethrow)
    this.#subscribers.set(channel, listeners)
    return listeners.add(listener)
  }

  /** Something was published there. */
  hear(channel: string, message: string): void {
    const pass = () => void (this.#isUp && this.#subscribers.get(channel)?.notify(message))
    if (this.delayMs === 0) queueMicrotask(pass)
    else this.#clock.timer(this.delayMs, pass)
  }

  async #ask(ask: Ask): Promise<unknown> {
    if (!this.#isUp) throw new StoreUnavailable('the memory store is down')
    const { promise, resolve, reject } = Promise.withResolvers<unknown>()
    using _late = this.#clock.timer(ANSWER_MS, () => {
      this.#giveUp()
      reject(new StoreUnavailable('the memory store does not answer'))
    })
    using _cut = this.onChange((isUp) => isUp || reject(new StoreUnavailable('the memory store went away')))
    this.#travel()
      .then(() => this.#do(ask))
      .then(async (answer) => {
        await this.#travel()
        resolve(answer)
      })
      .catch(reject)
    return await promise
  }

  async #travel(): Promise<void> {
    if (this.delayMs > 0) await this.#clock.sleep(this.delayMs)
  }

  /** It finds a store that was only slow again by itself. */
  #giveUp(): void {
    if (!this.#isUp) return
    this.#turn(false)
    this.#clock.timer(RECONNECT_MS, () => void (this.#isCut || this.#isFrozen() || this.#turn(true)))
  }

  #turn(isUp: boolean): void {
    if (this.#isUp === isUp) return
    this.#isUp = isUp
    this.#changes.notify(isUp)
  }
}

function rethrow(error: unknown): never {
  throw error
}

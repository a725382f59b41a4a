import { Listeners } from '../lib/listeners.ts'
import { isOver, LwwRegisters, type Write } from './lww-registers.ts'
import type { HubPage, HubTaken, NamedWrite, RegisterHub } from './register-hub.ts'
import { StoreUnavailable } from './store-link.ts'

export interface SavedHub {
  readonly writes: readonly NamedWrite[]
  readonly versions: ReadonlyMap<string, number>
  readonly version: number
}

/** The fake of a hub, for replicas of one process. */
export class MemoryRegisterHub {
  /** Its clock: for all links, whatever theirs say. */
  readonly now: () => number
  readonly #links = new Set<MemoryHubLink>()
  #registers = new LwwRegisters()
  #versions = new Map<string, number>()
  #version = 0
  #epoch = 1
  #run = 1

  constructor(now: () => number) {
    this.now = now
  }

  link(): MemoryHubLink {
    const link = new MemoryHubLink(this)
    this.#links.add(link)
    return link
  }

  /** As one that keeps nothing and is started anew. */
  lose(): void {
    this.#registers = new LwwRegisters()
    this.#versions = new Map()
    this.#version = 0
    this.#epoch += 1
  }

  /** What it has now. */
  save(): SavedHub {
    return { writes: [...this.#registers.writes()], versions: new Map(this.#versions), version: this.#version }
  }

  /** As one that is started anew, or that another takes the place of: it may be back at what it had before. */
  restart({ writes, versions, version }: SavedHub = this.save()): void {
    this.#registers = new LwwRegisters()
    for (const [name, write] of writes) this.#registers.take(name, write, Number.NEGATIVE_INFINITY)
    this.#versions = new Map(versions)
    this.#version = version
    this.#run += 1
  }

  take(writes: readonly NamedWrite[]): HubTaken {
    const before = this.#version
    for (const [name, write] of writes) {
      if (!this.#registers.take(name, structuredClone(write), this.now())) continue
      this.#version += 1
      this.#versions.set(name, this.#version)
    }
    this.#forget()
    if (this.#version > before) for (const link of this.#links) link.hear(this.#version)
    return { ...this.#state(), before }
  }

  page(since: number, limit: number): HubPage {
    this.#forget()
    const newer = [...this.#versions].filter(([, version]) => version > since).sort(([, a], [, b]) => a - b)
    const shown = newer.slice(0, limit)
    const writes = shown.map(([name]): NamedWrite => [name, structuredClone(this.#write(name))])
    const next = shown.length < newer.length ? (shown.at(-1)?.[1] ?? since) : this.#version
    return { ...this.#state(), writes, next }
  }

  #state() {
    return { epoch: String(this.#epoch), run: String(this.#run), version: this.#version, now: this.now() }
  }

  #write(name: string): Write {
    const write = this.#registers.find(name)
    if (write === undefined) throw new Error(`There is no register ${name}`)
    return write
  }

  #forget(): void {
    for (const [name, write] of [...this.#registers.writes()]) if (isOver(write, this.now())) this.#drop(name)
  }

  #drop(name: string): void {
    this.#registers.drop(name)
    this.#versions.delete(name)
  }
}

/** One replica's way to a `MemoryRegisterHub`. */
export class MemoryHubLink implements RegisterHub {
  readonly #hub: MemoryRegisterHub
  readonly #changes = new Listeners<boolean>(rethrow)
  readonly #news = new Listeners<number>(rethrow)
  #isUp = true
  /** The next push is taken, and its answer is lost on the way. */
  losesNextAnswer = false
  /** Nobody hears of what was pushed. */
  isDeaf = false

  constructor(hub: MemoryRegisterHub) {
    this.#hub = hub
  }

  get isUp(): boolean {
    return this.#isUp
  }

  cut(): void {
    this.#turn(false)
  }

  mend(): void {
    this.#turn(true)
  }

  onChange(listener: (isUp: boolean) => void): Disposable {
    return this.#changes.add(listener)
  }

  onNews(listener: (version: number) => void): Disposable {
    return this.#news.add(listener)
  }

  async push(writes: readonly NamedWrite[]): Promise<HubTaken> {
    await this.#way()
    const taken = this.#hub.take(writes)
    const isLost = this.losesNextAnswer
    this.losesNextAnswer = false
    await this.#way()
    if (isLost) throw new StoreUnavailable('The answer was lost')
    return taken
  }

  async pull(since: number, limit: number): Promise<HubPage> {
    await this.#way()
    const page = this.#hub.page(since, limit)
    await this.#way()
    return page
  }

  hear(version: number): void {
    if (this.#isUp && !this.isDeaf) this.#news.notify(version)
  }

  async #way(): Promise<void> {
    await null
    if (!this.#isUp) throw new StoreUnavailable('The hub is cut off')
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

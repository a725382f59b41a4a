import type { Reach } from '../domain/worker.ts'
import type { Clock } from '../lib/clock.ts'
import type { Json } from '../lib/json.ts'
import { Listeners } from '../lib/listeners.ts'
import type { HealerLeases } from './healer-leases.ts'
import { type HealthReport, readHealth, type ToldWorker, writeHealth } from './health-report.ts'
import type { Member, Presence } from './presence.ts'

/** A report that a worker is well spares others a probe for so long after it was seen to work. */
const WELL_MS = 25_000
/** What was said goes on for so long without being said again: three beats. */
const STALE_MS = 3_500
/** So recent must be what a replica has seen itself to speak against who heals a worker. */
const WITNESSED_MS = 15_000
const DAY_MS = 86_400_000
/** Two reboots that are told with so little between them are one; real ones are an hour apart. */
const SAME_REBOOT_MS = 300_000

export type Change = 'lease' | 'doubted' | 'trusted' | 'failing' | 'lost' | 'healing'

/** Instants are those of `clock.monotonic()`. */
export interface Told {
  readonly state: 'well' | 'ill' | 'healing'
  readonly provenAt: number
  readonly reboots: readonly number[]
}

/** One worker, as its monitor has it: fits what `health` asks for. */
export interface WorkerShare {
  /** Whether several reach its Tor themselves. */
  readonly isReachedByAll: boolean
  fence(): number | undefined
  healer(): string | undefined
  keep(): Disposable
  seize(signal: AbortSignal): Promise<unknown>
  elsewhere(): {
    readonly wellUntil: number
    readonly isHealed: boolean
    readonly wellFor: string | undefined
    readonly reboots: readonly number[]
  }
  onChange(listener: (change: Change) => void): Disposable
  report(make: () => Told | undefined): Disposable
  tell(news: 'failing' | 'lost'): void
}

export interface HealthShareOptions {
  readonly presence: Pick<Presence, 'members' | 'onChange' | 'report' | 'tell' | 'onReport'>
  readonly leases: Pick<HealerLeases, 'held' | 'holder' | 'onChange' | 'seize' | 'keep'>
  readonly clock: Clock
  /** A listener has thrown. */
  readonly onError: (error: unknown) => void
}

interface Watched {
  readonly listeners: Listeners<Change>
  reach: Reach
  make: (() => Told | undefined) | undefined
  healer: { readonly run: string; readonly replica: string; readonly told: ToldWorker; readonly at: number } | undefined
  witness: { readonly run: string; readonly replica: string; readonly at: number } | undefined
  reboots: readonly number[]
}

const NO_KEEP: Disposable = { [Symbol.dispose]() {} }

/** What replicas tell each other of the health of workers: whoever heals one, of it; the others, what speaks against that. */
export class HealthShare implements Disposable {
  readonly #options: HealthShareOptions
  readonly #stack = new DisposableStack()
  readonly #watched = new Map<string, Watched>()

  constructor(options: HealthShareOptions) {
    const { presence, leases } = options
    this.#options = options
    this.#stack.use(presence.report('health', () => this.#report()))
    this.#stack.use(presence.onReport('health', (from, payload) => this.#heard(from, readHealth(payload))))
    this.#stack.use(presence.onReport('health-news', (_, payload) => this.#heardNews(payload)))
    this.#stack.use(presence.onChange(() => this.#forgetTheGone()))
    this.#stack.use(leases.onChange((worker) => this.#watched.get(worker)?.listeners.notify('lease')))
  }

  /** One a worker; asked for again, it is the same worker. */
  watch(worker: string, reach: Reach): WorkerShare {
    const { leases, presence, clock } = this.#options
    const watched = this.#watchedOf(worker)
    watched.reach = reach
    return {
      isReachedByAll: reach === 'shared',
      fence: () => this.#fence(worker),
      healer: () => (reach === 'shared' ? leases.holder(worker) : undefined) ?? this.#current(watched)?.replica,
      keep: () => (reach === 'shared' ? leases.keep(worker) : NO_KEEP),
      seize: async (signal) => (reach === 'shared' ? await leases.seize(worker, signal) : undefined),
      elsewhere: () => this.#elsewhere(watched, clock.monotonic()),
      onChange: (listener) => watched.listeners.add(listener),
      report(make) {
        watched.make = make
        return {
          [Symbol.dispose]() {
            if (watched.make === make) watched.make = undefined
          },
        }
      },
      tell: (news) => presence.tell('health-news', { worker, news }),
    }
  }

  /** The worker is none any more. */
  forget(worker: string): void {
    this.#watched.delete(worker)
  }

  [Symbol.dispose](): void {
    this.#stack[Symbol.dispose]()
  }

  #watchedOf(worker: string): Watched {
    const known = this.#watched.get(worker)
    if (known !== undefined) return known
    const watched: Watched = {
      ...{ listeners: new Listeners<Change>(this.#options.onError), reach: 'shared', make: undefined },
      ...{ healer: undefined, witness: undefined, reboots: [] },
    }
    this.#watched.set(worker, watched)
    return watched
  }

  /** Nobody needs a lease for what nobody else can heal. */
  #fence(worker: string): number | undefined {
    const reach = this.#watched.get(worker)?.reach
    if (reach === 'own') return 0
    return reach === 'shared' ? this.#options.leases.held(worker)?.token : undefined
  }

  #elsewhere(watched: Watched, now: number): ReturnType<WorkerShare['elsewhere']> {
    const { witness, reboots } = watched
    const healer = this.#current(watched)
    const isWell = healer?.told.state === 'well'
    return {
      wellUntil:
        healer !== undefined && isWell ? healer.at - healer.told.provenMsAgo + WELL_MS : Number.NEGATIVE_INFINITY,
      isHealed: healer?.told.state === 'healing',
      wellFor: witness !== undefined && now - witness.at < STALE_MS ? witness.replica : undefined,
      reboots: reboots.filter((at) => now - at < DAY_MS),
    }
  }

  /** Whoever heals it, while we do not. While the store is down nothing is said. */
  #current({ healer }: Watched): Watched['healer'] {
    if (healer === undefined || this.#fence(healer.told.worker) !== undefined) return undefined
    return this.#options.clock.monotonic() - healer.at < WELL_MS ? healer : undefined
  }

  #report(): Json {
    const now = this.#options.clock.monotonic()
    const healed: ToldWorker[] = []
    const wellHere: string[] = []
    const rebootsMsAgo = new Map<string, readonly number[]>()
    for (const [worker, watched] of this.#watched) {
      const told = watched.make?.()
      if (told === undefined) continue
      const provenMsAgo = now - told.provenAt
      const other = this.#current(watched)
      if (this.#fence(worker) !== undefined) healed.push({ worker, state: told.state, provenMsAgo })
      else if (told.state === 'well' && provenMsAgo < WITNESSED_MS && other && other.told.state !== 'well')
        wellHere.push(worker)
      if (told.reboots.length > 0)
        rebootsMsAgo.set(
          worker,
          told.reboots.map((at) => now - at),
        )
    }
    return writeHealth({ healed, wellHere, rebootsMsAgo })
  }

  #heard(from: Member, { healed, wellHere, rebootsMsAgo }: HealthReport): void {
    const at = this.#options.clock.monotonic()
    const { run, replica } = from
    const told = new Map(healed.map((each) => [each.worker, each]))
    const finds = new Set(wellHere)
    for (const [worker, watched] of this.#watched) {
      const news = told.get(worker)
      if (news !== undefined) this.#turn(watched, { run, replica, told: news, at })
      else if (watched.healer?.run === run) this.#turn(watched, undefined)
      if (finds.has(worker)) watched.witness = { run, replica, at }
      else if (watched.witness?.run === run) watched.witness = undefined
      this.#learnReboots(watched, rebootsMsAgo.get(worker) ?? [], at)
    }
  }

  #turn(watched: Watched, next: Watched['healer']): void {
    const before = watched.healer?.told.state
    watched.healer = next
    const after = next?.told.state
    if ((before === 'healing') !== (after === 'healing')) watched.listeners.notify('healing')
    if (after === undefined || this.#current(watched) === undefined) return
    if (after !== 'well' && (before ?? 'well') === 'well') watched.listeners.notify('doubted')
    if (after === 'well' && before !== undefined && before !== 'well') watched.listeners.notify('trusted')
  }

  #learnReboots(watched: Watched, msAgo: readonly number[], now: number): void {
    const news = msAgo
      .map((ms) => now - ms)
      .filter((at) => now - at < DAY_MS && !watched.reboots.some((other) => Math.abs(at - other) < SAME_REBOOT_MS))
    if (news.length === 0) return
    const known = watched.reboots.filter((at) => now - at < DAY_MS)
    watched.reboots = [...known, ...news].sort((a, b) => a - b)
    watched.listeners.notify('healing')
  }

  #heardNews(payload: Json): void {
    if (typeof payload !== 'object' || payload === null || !('worker' in payload) || !('news' in payload)) return
    const { worker, news } = payload
    const watched = typeof worker === 'string' ? this.#watched.get(worker) : undefined
    if (news === 'lost') watched?.listeners.notify('lost')
    if (news === 'failing' && typeof worker === 'string' && this.#fence(worker) !== undefined)
      watched?.listeners.notify('failing')
  }

  #forgetTheGone(): void {
    const runs = new Set(this.#options.presence.members().map(({ run }) => run))
    for (const watched of this.#watched.values()) {
      if (watched.healer !== undefined && !runs.has(watched.healer.run)) this.#turn(watched, undefined)
      if (watched.witness !== undefined && !runs.has(watched.witness.run)) watched.witness = undefined
    }
  }
}

import { changesOf, type PeerWorker, type Placement, placement } from './placement.ts'
import type { WorkerAnnouncements } from './worker-announcements.ts'

export interface PeerRosterOptions {
  readonly self: string
  readonly announcements: Pick<WorkerAnnouncements, 'announced' | 'onChange'>
  /** The ids of all workers of our configuration, as other replicas know them. */
  readonly own: () => readonly string[]
  /** Has the worker from now on. */
  take(worker: PeerWorker): void
  /** Has it no more. Another one of its name is taken when this has settled. */
  letGo(worker: PeerWorker): Promise<void>
  /** Told of those that cannot be told from others, when they are others than before. */
  onRefused(refused: Placement['refused']): void
  /** `take` or `letGo` failed: the rest goes on. */
  onError(error: unknown, worker: PeerWorker): void
}

/** Has just those workers of other replicas that placement says, as it changes. Dispose it to leave them as they are. */
export class PeerRoster implements AsyncDisposable {
  readonly #options: PeerRosterOptions
  readonly #listening: Disposable
  #peers: readonly PeerWorker[] = []
  #refused = ''
  #isWanted = false
  #isOver = false
  #working: Promise<void> | undefined

  constructor(options: PeerRosterOptions) {
    this.#options = options
    this.#listening = options.announcements.onChange(() => this.look())
    this.look()
  }

  /** Those that it has. */
  get peers(): readonly PeerWorker[] {
    return this.#peers
  }

  /** To be called when our own workers are others. */
  look(): void {
    this.#isWanted = true
    this.#working ??= this.#work()
  }

  /** Resolves when nothing is being taken or let go of. */
  async settled(): Promise<void> {
    await this.#working
  }

  async [Symbol.asyncDispose](): Promise<void> {
    this.#isOver = true
    this.#listening[Symbol.dispose]()
    await this.#working
  }

  async #work(): Promise<void> {
    try {
      while (this.#isWanted && !this.#isOver) {
        this.#isWanted = false
        await this.#converge()
      }
    } finally {
      this.#working = undefined // in the same breath as the last look whether more is wanted
    }
  }

  async #converge(): Promise<void> {
    const options = this.#options
    const { peers, refused } = placement(options.self, options.own(), options.announcements.announced)
    this.#tell(refused)
    const { added, removed } = changesOf(this.#peers, peers)
    await Promise.all(removed.map((worker) => this.#try(worker, () => options.letGo(worker))))
    if (this.#isOver) return
    const taken: PeerWorker[] = []
    for (const worker of added) if (await this.#try(worker, async () => options.take(worker))) taken.push(worker)
    const left = this.#peers.filter((worker) => !removed.includes(worker))
    this.#peers = [...left, ...taken]
  }

  async #try(worker: PeerWorker, change: () => Promise<void>): Promise<boolean> {
    try {
      await change()
      return true
    } catch (error) {
      this.#options.onError(error, worker)
      return false
    }
  }

  #tell(refused: Placement['refused']): void {
    const said = JSON.stringify(refused)
    if (said === this.#refused || (refused.length === 0 && this.#refused === '')) return
    this.#refused = said
    this.#options.onRefused(refused)
  }
}

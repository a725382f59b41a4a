import { Listeners } from './listeners.ts'

export interface HistoryOptions {
  /** So many of the newest entries are kept. */
  readonly capacity: number
  /** The first entry gets the id after this one. */
  readonly baseId?: number
  readonly onListenerError: (error: unknown) => void
}

/** The entries after an id, oldest first. */
export interface Later<T> {
  readonly entries: readonly T[]
  /** Whether these are all: false when some after that id have been dropped, or when the id is none of ours. */
  readonly isComplete: boolean
}

/** The newest entries of a sequence, and those who want to hear of each new one. Ids go up by one. */
export class History<T extends { readonly id: number }> {
  readonly #capacity: number
  readonly #baseId: number
  readonly #listeners: Listeners<T>
  readonly #entries: T[] = []
  readonly #untold: T[] = []
  #newestId: number
  #isTelling = false

  constructor({ capacity, baseId = 0, onListenerError }: HistoryOptions) {
    if (capacity < 1) throw new RangeError(`Cannot keep a history: its capacity is ${capacity}`)
    this.#capacity = capacity
    this.#baseId = baseId
    this.#newestId = baseId
    this.#listeners = new Listeners(onListenerError)
  }

  /** Of the newest entry; before the first one, the id that comes before it. */
  get newestId(): number {
    return this.#newestId
  }

  /** Keeps the entry that `make` returns. A listener that adds another one in its turn is no reason for disorder. */
  add(make: (id: number) => T): T {
    const entry = make(this.#newestId + 1)
    this.#newestId = entry.id
    this.#entries.push(entry)
    if (this.#entries.length > this.#capacity) this.#entries.shift()
    this.#untold.push(entry)
    if (!this.#isTelling) this.#tell()
    return entry
  }

  /** What was added after the entry with this id, as far as it is kept; 0 stands for the beginning. */
  since(id: number): Later<T> {
    const from = id === 0 ? this.#baseId : id
    const oldestId = this.#newestId - this.#entries.length + 1
    const isComplete = from >= oldestId - 1 && from <= this.#newestId
    return { entries: isComplete ? this.#entries.slice(from - oldestId + 1) : [...this.#entries], isComplete }
  }

  /** Calls `listener` with each entry that is added from now on, in order. Dispose to stop listening. */
  onAdded(listener: (entry: T) => void): Disposable {
    return this.#listeners.add(listener)
  }

  #tell(): void {
    this.#isTelling = true
    for (let entry = this.#untold.shift(); entry !== undefined; entry = this.#untold.shift()) {
      this.#listeners.notify(entry)
    }
    this.#isTelling = false
  }
}

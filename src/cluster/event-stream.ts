import type { RecordedEvent } from '../domain/events.ts'
import type { Clock } from '../lib/clock.ts'
import { Listeners } from '../lib/listeners.ts'
import type { Logger } from '../lib/log.ts'
import type { Seal } from '../lib/seal.ts'
import { readEvent, type SharedEvent, writeEvent } from './event-message.ts'
import type { Member } from './presence.ts'
import { type Script, type StoreLink, StoreUnavailable } from './store-link.ts'

export interface EventStreamOptions {
  readonly link: StoreLink
  readonly seal: Seal
  readonly self: Pick<Member, 'replica' | 'run'>
  readonly clock: Clock
  readonly logger: Logger
}

/** What the store keeps, and a little more: whole nodes of the stream go. */
const KEPT = 10_000
/** What wait for the store; of more, the oldest are lost to the others. */
const MAX_WAITING = 1_000
/** At once, either way. */
const BATCH = 100
/** What a replica that starts is told of what was before. */
const OF_THE_PAST = 1_000
/** Others say when there is something. This is for what they could not say. */
const LOOK_MS = 5_000
/** Of replicas that came and went; more of them are not kept apart. */
const MAX_RUNS = 256

/** Below all ids. */
const BEGINNING = '0-0'

/** KEYS: stream, channel. ARGV: how many to keep, then the events. Returns nothing. */
const ADD: Script = {
  name: 'addEvents',
  keys: 2,
  lua: `
for n = 2, #ARGV do
  redis.call('XADD', KEYS[1], 'MAXLEN', '~', ARGV[1], '*', 'e', ARGV[n])
end
redis.call('PUBLISH', KEYS[2], '')`,
}

/** KEYS: stream. ARGV: the id to go on after, how many. An id that is empty: the newest ones. Returns the newest id, and entries as XRANGE has them. */
const READ: Script = {
  name: 'readEvents',
  keys: 1,
  lua: `
local newest = redis.call('XREVRANGE', KEYS[1], '+', '-', 'COUNT', 1)
local entries
if ARGV[1] == '' then
  entries = {}
  local latest = redis.call('XREVRANGE', KEYS[1], '+', '-', 'COUNT', ARGV[2])
  for n = #latest, 1, -1 do entries[#entries + 1] = latest[n] end
else
  entries = redis.call('XRANGE', KEYS[1], '(' .. ARGV[1], '+', 'COUNT', ARGV[2])
end
return {newest[1] and newest[1][1] or '0-0', entries}`,
}

/**
 * The events of all replicas, each told once and in the order of its replica. What happens while the store is away is told when it is
 * back; a replica that starts is told the newest ones of before, those of its own earlier runs among them.
 */
export class EventStream implements AsyncDisposable {
  readonly #options: EventStreamOptions
  readonly #listeners: Listeners<{ readonly replica: string; readonly event: SharedEvent }>
  readonly #key: string
  readonly #channel: string
  readonly #owned = new DisposableStack()
  readonly #end = new AbortController()
  /** Sealed, oldest first. */
  readonly #waiting: string[] = []
  /** The highest number that was told, by run. */
  readonly #told = new Map<string, number>()
  #number = 0
  /** Of the entry that was read last; empty before the first one. */
  #cursor = ''
  #writing: Promise<void> | undefined
  #reading: Promise<void> | undefined
  #isReadAgain = false
  /** Somebody listens: what is read before that would be lost. */
  #isHeard = false

  constructor(options: EventStreamOptions) {
    const { link, logger, clock } = options
    this.#options = options
    this.#key = link.key('events')
    this.#channel = link.key('events-added')
    this.#listeners = new Listeners((error) =>
      logger.error({ err: error }, 'a listener of events of others has failed'),
    )
    this.#owned.use(link.subscribe(this.#channel, () => this.#read()))
    this.#owned.use(link.onChange((isUp) => isUp && this.#look()))
    void this.#lookEvery(clock)
  }

  /** How many events the store does not have yet. */
  get pending(): number {
    return this.#waiting.length
  }

  /** What happened at another replica is left out: it has said so itself. */
  add({ at, severity, text, event, replica }: RecordedEvent): void {
    if (replica !== undefined) return
    const { seal, self } = this.#options
    const message = {
      replica: self.replica,
      run: self.run,
      number: ++this.#number,
      event: { at, severity, text, event },
    }
    this.#waiting.push(writeEvent(message, seal, this.#key))
    if (this.#waiting.length > MAX_WAITING) this.#waiting.shift()
    this.#write()
  }

  /** What other replicas, and earlier runs of this one, have recorded. Whoever is to hear of the past listens before anything else happens. */
  onEvent(listener: (replica: string, event: SharedEvent) => void): Disposable {
    const listening = this.#listeners.add(({ replica, event }) => listener(replica, event))
    this.#isHeard = true
    this.#read()
    return listening
  }

  /** Writes what it can. */
  async [Symbol.asyncDispose](): Promise<void> {
    this.#owned.dispose()
    this.#end.abort()
    await Promise.all([this.#writing, this.#reading])
  }

  async #lookEvery(clock: Clock): Promise<void> {
    try {
      for (;;) {
        await clock.sleep(LOOK_MS, this.#end.signal)
        this.#look()
      }
    } catch {
      // It has ended.
    }
  }

  #look(): void {
    this.#write()
    this.#read()
  }

  #write(): void {
    if (this.#writing === undefined && this.#waiting.length > 0 && this.#options.link.isUp)
      this.#writing = this.#writeAll()
  }

  /** Never rejects. What may have been written is written again; those who read it know it by its number. */
  async #writeAll(): Promise<void> {
    const { link } = this.#options
    try {
      while (this.#waiting.length > 0) {
        const batch = this.#waiting.slice(0, BATCH)
        await link.run(ADD, [this.#key, this.#channel], [KEPT, ...batch])
        // Some may have been lost meanwhile.
        const last = this.#waiting.indexOf(batch.at(-1) ?? '')
        this.#waiting.splice(0, last + 1)
      }
    } catch (error) {
      this.#tell(error, 'events cannot be shared')
    } finally {
      this.#writing = undefined // in the same breath as the last look at what waits
    }
  }

  #read(): void {
    this.#isReadAgain = true
    if (!this.#isHeard || this.#end.signal.aborted || this.#reading !== undefined || !this.#options.link.isUp) return
    this.#reading = this.#readAll()
  }

  /** Never rejects. */
  async #readAll(): Promise<void> {
    try {
      while (this.#isReadAgain && !this.#end.signal.aborted) {
        this.#isReadAgain = false
        await this.#readMore()
      }
    } catch (error) {
      this.#tell(error, 'events of others cannot be read')
    } finally {
      this.#reading = undefined
    }
  }

  async #readMore(): Promise<void> {
    const isFirst = this.#cursor === ''
    const count = isFirst ? OF_THE_PAST : BATCH
    const [newest, entries] = answerOf(await this.#options.link.run(READ, [this.#key], [this.#cursor, count]))
    for (const [id, text] of entries) {
      this.#cursor = id
      this.#hear(text)
    }
    if (isFirst) {
      this.#cursor ||= BEGINNING
      return
    }
    // The store has lost this stream, and begun another one by a clock that was put back.
    const isAnother = isEarlier(newest, this.#cursor)
    if (isAnother) this.#cursor = BEGINNING
    this.#isReadAgain ||= entries.length === count || (isAnother && newest !== BEGINNING)
  }

  #hear(text: string): void {
    const { seal, self } = this.#options
    const message = readEvent(text, seal, this.#key)
    if (message === undefined || message.run === self.run) return
    const { run, number, replica, event } = message
    if (number <= (this.#told.get(run) ?? 0)) return
    this.#told.delete(run)
    this.#told.set(run, number)
    const [oldest] = this.#told.keys()
    if (this.#told.size > MAX_RUNS && oldest !== undefined) this.#told.delete(oldest)
    if (event !== undefined) this.#listeners.notify({ replica, event })
  }

  #tell(error: unknown, message: string): void {
    if (!(error instanceof StoreUnavailable)) this.#options.logger.error({ err: error }, message)
  }
}

/** What the script says: nobody else writes there, but whoever can write to the store may. */
function answerOf(
  answer: unknown,
): readonly [newest: string, entries: readonly (readonly [id: string, text: string])[]] {
  const [newest, entries] = Array.isArray(answer) ? answer : []
  const list: readonly unknown[] = Array.isArray(entries) ? entries : []
  return [String(newest ?? BEGINNING), list.map((entry) => entryOf(entry))]
}

function entryOf(entry: unknown): readonly [id: string, text: string] {
  const [id, fields] = Array.isArray(entry) ? entry : []
  return [String(id), Array.isArray(fields) ? String(fields[1]) : '']
}

function isEarlier(id: string, other: string): boolean {
  const [ms = 0, n = 0] = id.split('-').map(Number)
  const [otherMs = 0, otherN = 0] = other.split('-').map(Number)
  return ms < otherMs || (ms === otherMs && n < otherN)
}

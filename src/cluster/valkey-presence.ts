import type { Clock } from '../lib/clock.ts'
import type { Json } from '../lib/json.ts'
import { Listeners } from '../lib/listeners.ts'
import type { Seal } from '../lib/seal.ts'
import { type Message, readMessage, writeMessage } from './beat.ts'
import type { Member, Presence } from './presence.ts'
import { RollCall } from './roll-call.ts'
import type { StoreLink } from './store-link.ts'

const BEAT_MS = 1_000
/** From one beat to the next at the least, when a newcomer brings it forward. */
const GREET_MS = 200
const MOST_NAMESAKES = 100
/** So long after its last beat another one of our name is taken to live. */
const NAMESAKE_MS = 5_000

export interface PresenceOptions {
  readonly link: Pick<StoreLink, 'isUp' | 'key' | 'call' | 'subscribe'>
  readonly seal: Seal
  readonly clock: Clock
  /** `run`: unlike that of any run before, such as 16 random bytes in hex. */
  readonly self: Member
  /** A listener or a report has thrown. */
  readonly onError: (error: unknown) => void
  /** Another replica that lives has our name, told once for each run of it: one of the two is to be renamed. */
  readonly onNamesake?: (other: Member) => void
}

interface Heard {
  readonly from: Member
  readonly payload: Json
}

/**
 * Replicas that say each second, on one channel of the store, that they are there. Nothing of it is kept there: who begins to
 * listen knows everybody within a second.
 */
export class ValkeyPresence implements Presence {
  readonly self: Member
  readonly #options: PresenceOptions
  readonly #channel: string
  readonly #roll: RollCall
  readonly #changes: Listeners<void>
  readonly #topics = new Map<string, Listeners<Heard>>()
  readonly #reports = new Map<string, () => Json | undefined>()
  readonly #namesakes = new Set<string>()
  #namesakeAt = Number.NEGATIVE_INFINITY
  readonly #subscription: Disposable
  #timer: Disposable | undefined
  #number = 0
  #beatAt = Number.NEGATIVE_INFINITY
  /** A beat is on its way: a store that is slow gets no second one. */
  #isBeating = false
  #isOver = false

  constructor(options: PresenceOptions) {
    const { link, self, onError } = options
    this.self = self
    this.#options = options
    this.#channel = link.key('presence')
    this.#roll = new RollCall(self)
    this.#changes = new Listeners(onError)
    this.#subscription = link.subscribe(this.#channel, (text) => this.#hear(text))
    this.#beat()
  }

  /** Whether another one that lives has our name, so that one of the two is to be renamed. */
  get hasNamesake(): boolean {
    return this.#options.clock.monotonic() - this.#namesakeAt < NAMESAKE_MS
  }

  members(): readonly Member[] {
    return this.#roll.members
  }

  onChange(listener: () => void): Disposable {
    return this.#changes.add(listener)
  }

  report(topic: string, make: () => Json | undefined): Disposable {
    if (this.#reports.has(topic)) throw new Error(`Cannot report "${topic}": it is reported already`)
    this.#reports.set(topic, make)
    return { [Symbol.dispose]: () => void (this.#reports.get(topic) === make && this.#reports.delete(topic)) }
  }

  tell(topic: string, payload: Json): void {
    if (!this.#isOver) this.#say('tell', { [topic]: payload }).catch(() => {})
  }

  onReport(topic: string, listener: (from: Member, payload: Json) => void): Disposable {
    const listeners = this.#topics.get(topic) ?? new Listeners<Heard>(this.#options.onError)
    this.#topics.set(topic, listeners)
    return listeners.add(({ from, payload }) => listener(from, payload))
  }

  /** Says goodbye, as far as the store hears it within 2 s. */
  async [Symbol.asyncDispose](): Promise<void> {
    if (this.#isOver) return
    this.#isOver = true
    this.#timer?.[Symbol.dispose]()
    this.#subscription[Symbol.dispose]()
    await this.#say('bye', {}).catch(() => {})
  }

  /** Beats now, and once a second from now on. */
  #beat(): void {
    this.#beatIn(BEAT_MS)
    if (this.#isBeating) return
    this.#isBeating = true
    this.#beatAt = this.#options.clock.monotonic()
    this.#say('beat', this.#reported())
      .catch(() => {})
      .finally(() => {
        this.#isBeating = false
      })
  }

  #beatIn(ms: number): void {
    this.#timer?.[Symbol.dispose]()
    this.#timer = this.#options.clock.timer(ms, () => this.#beat())
  }

  #reported(): Record<string, Json> {
    const topics: Record<string, Json> = {}
    for (const [topic, make] of this.#reports) {
      try {
        const payload = make()
        if (payload !== undefined) topics[topic] = payload
      } catch (error) {
        this.#options.onError(error)
      }
    }
    return topics
  }

  async #say(kind: Message['kind'], topics: Readonly<Record<string, Json>>): Promise<void> {
    const { link, seal } = this.#options
    if (!link.isUp) return
    this.#number += 1
    const message = { member: this.self, number: this.#number, kind, topics }
    await link.call('PUBLISH', this.#channel, writeMessage(message, seal, this.#channel))
  }

  #hear(text: string): void {
    if (this.#isOver) return
    const message = readMessage(text, this.#options.seal, this.#channel)
    if (message === undefined) return
    const { member, number, kind } = message
    if (!this.#roll.isNew(member, number)) return
    if (member.run === this.self.run) {
      if (kind === 'beat' && this.#roll.echoed(this.#options.clock.monotonic())) this.#changes.notify()
      return
    }
    if (member.replica === this.self.replica) {
      this.#meetNamesake(message)
    } else if (kind === 'bye') {
      if (this.#roll.leaves(member.run)) this.#changes.notify()
    } else {
      if (this.#roll.lives(member)) {
        this.#greet()
        this.#changes.notify()
      }
      this.#pass(message)
    }
  }

  /** A newcomer need not wait for our next beat to know us. */
  #greet(): void {
    this.#beatIn(Math.max(0, this.#beatAt + GREET_MS - this.#options.clock.monotonic()))
  }

  #meetNamesake({ member, kind }: Message): void {
    if (kind !== 'beat') return
    this.#namesakeAt = this.#options.clock.monotonic()
    if (this.#namesakes.has(member.run)) return
    if (this.#namesakes.size >= MOST_NAMESAKES) this.#namesakes.clear()
    this.#namesakes.add(member.run)
    this.#options.onNamesake?.(member)
  }

  #pass({ member, topics }: Message): void {
    for (const [topic, payload] of Object.entries(topics)) this.#topics.get(topic)?.notify({ from: member, payload })
  }
}

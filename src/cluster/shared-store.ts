import { hkdfSync } from 'node:crypto'
import { MODES, type Mode } from '../domain/exchange.ts'
import type { StoredKey } from '../domain/key.ts'
import { DESIRED_STATES, type DesiredState } from '../domain/worker.ts'
import type { Clock } from '../lib/clock.ts'
import { isRecord, type Json } from '../lib/json.ts'
import { Listeners } from '../lib/listeners.ts'
import type { Store, StoreChange, StoredSession } from '../store/store.ts'
import { kindOf } from './lww-registers.ts'
import type { Registers } from './registers.ts'
import { keyOfValue, valueOfKey } from './shared-keys.ts'
import type { WriteOptions } from './shared-registers.ts'
import { SharedUsage } from './shared-usage.ts'

/** What a `SharedRegisters` is to the store. */
export interface RankedRegisters extends Pick<Registers, 'get' | 'entries' | 'onChange'> {
  set(name: string, value: Json | undefined, options?: WriteOptions): void
}

export interface SharedStoreOptions {
  readonly registers: RankedRegisters
  readonly clock: Clock
  /** Of this run of the replica, and of no other. */
  readonly run: string
  /** The pool's. */
  readonly secret: Buffer
  readonly onError: (error: unknown) => void
}

const HOUR_MS = 3_600_000
const DAY_MS = 24 * HOUR_MS
/** So long is a session remembered for its generation after it has ended. */
const ENDED_MS = DAY_MS
/** What a replica has told of its checks, and when a key was used, is forgotten so long after. */
const STATISTICS_MS = 7 * DAY_MS
const USED_MS = 400 * DAY_MS

/**
 * The store of a pool of replicas: what one of them writes holds here at once and everywhere soon. Fields and kinds of later
 * versions are kept and passed on. Of names in the registers: `mode`, `desired/WORKER`, `key/ID`, `used/ID` (of a key), `usage/RUN`,
 * `session/HASH`, `checks/REPLICA`. Dispose it before the registers.
 */
export class SharedStore implements Store {
  readonly #registers: RankedRegisters
  readonly #clock: Clock
  readonly #secret: Buffer
  readonly #usage: SharedUsage
  readonly #changes: Listeners<StoreChange>
  readonly #listening: Disposable

  constructor({ registers, clock, run, secret, onError }: SharedStoreOptions) {
    this.#registers = registers
    this.#clock = clock
    this.#secret = Buffer.from(hkdfSync('sha256', secret, '', 'cbtor identities', 32))
    this.#usage = new SharedUsage(registers, clock, run)
    this.#changes = new Listeners(onError)
    this.#listening = registers.onChange(({ name }) => {
      const change = changeOf(name)
      if (change !== undefined) this.#changes.notify(change)
    })
  }

  /** The same for all replicas: nothing is generated. */
  poolSecret(): Buffer {
    return this.#secret
  }

  mode(): Mode | undefined {
    const { mode } = this.#record('mode')
    return MODES.find((known) => known === mode)
  }

  setMode(mode: Mode): void {
    this.#registers.set('mode', { ...this.#record('mode'), mode })
  }

  desiredStates(): ReadonlyMap<string, DesiredState> {
    const states = new Map<string, DesiredState>()
    for (const [name, value] of this.#registers.entries('desired')) {
      const state = isRecord(value) ? DESIRED_STATES.find((known) => known === value.desired) : undefined
      if (state !== undefined) states.set(afterSlash(name), state)
    }
    return states
  }

  setDesiredState(workerId: string, desired: DesiredState): void {
    const name = `desired/${workerId}`
    this.#registers.set(name, { ...this.#record(name), desired })
  }

  usageOn(day: string): ReadonlyMap<string, number> {
    return this.#usage.usageOn(day)
  }

  setUsage(day: string, bytes: ReadonlyMap<string, number>): void {
    this.#usage.setUsage(day, bytes)
  }

  addUsage(day: string, bytes: ReadonlyMap<string, number>): void {
    this.#usage.addUsage(day, bytes)
  }

  keys(): readonly StoredKey[] {
    const keys: StoredKey[] = []
    for (const [name, value] of this.#registers.entries('key')) {
      const id = afterSlash(name)
      const { at } = this.#record(`used/${id}`)
      const key = keyOfValue(id, value, typeof at === 'number' ? at : undefined)
      if (key !== undefined) keys.push(key)
    }
    return keys
  }

  addKey(stored: StoredKey): void {
    const { id, lastUsedAt } = stored.key
    if (this.#registers.get(`key/${id}`) !== undefined)
      throw new Error(`Cannot add key "${id}": there is one of this id`)
    this.#registers.set(`key/${id}`, valueOfKey(stored))
    if (lastUsedAt !== undefined) this.setKeyUsed(id, lastUsedAt)
  }

  /** Beside the key, so that no use of it can bring back one that another replica has removed. The latest use wins. */
  setKeyUsed(id: string, at: number): void {
    if (this.#registers.get(`key/${id}`) === undefined) return
    const write = { rank: Math.floor(at / HOUR_MS), until: this.#clock.now() + USED_MS, mayBeLost: true }
    this.#registers.set(`used/${id}`, { at }, write)
  }

  /** Nothing that anybody writes of it later brings it back. */
  removeKey(id: string): void {
    if (this.#registers.get(`key/${id}`) === undefined) return
    this.#registers.set(`key/${id}`, undefined, { rank: 1 })
    this.#registers.set(`used/${id}`, undefined)
  }

  session(hash: string): StoredSession | undefined {
    return sessionOf(this.#registers.get(`session/${hash}`))
  }

  *sessions(): Iterable<readonly [hash: string, session: StoredSession]> {
    for (const [name, value] of this.#registers.entries('session')) {
      const session = sessionOf(value)
      if (session !== undefined) yield [afterSlash(name), session]
    }
  }

  /** Of two that were written without knowing of each other, that of the higher generation holds: a rotation is never undone. */
  setSession(hash: string, session: StoredSession | undefined): void {
    const name = `session/${hash}`
    if (session === undefined) {
      if (this.#registers.get(name) !== undefined) this.#registers.set(name, undefined)
      return
    }
    const { label, ...plain } = session
    const { label: _, ...later } = this.#record(name)
    const known = this.session(hash)
    this.#registers.set(
      name,
      { ...later, ...plain, ...(label && { label: label.toString('base64') }) },
      {
        rank: session.generation,
        until: session.endsAt + ENDED_MS,
        // That it was used once more is no loss.
        mayBeLost: known?.generation === session.generation && known.worker === session.worker,
      },
    )
  }

  forgetSessions(endedBefore: number): void {
    for (const [hash, { endsAt }] of [...this.sessions()]) if (endsAt < endedBefore) this.setSession(hash, undefined)
  }

  checkStatistics(): ReadonlyMap<string, Json> {
    return new Map([...this.#registers.entries('checks')].map(([name, value]) => [afterSlash(name), value]))
  }

  setCheckStatistics(replica: string, statistics: Json): void {
    const until = this.#clock.now() + STATISTICS_MS
    this.#registers.set(`checks/${replica}`, statistics, { until, mayBeLost: true })
  }

  onChanged(listener: (change: StoreChange) => void): Disposable {
    return this.#changes.add(listener)
  }

  [Symbol.dispose](): void {
    this.#listening[Symbol.dispose]()
  }

  /** With fields that this version does not know. */
  #record(name: string): { readonly [name: string]: Json } {
    const value = this.#registers.get(name)
    return isRecord(value) ? value : {}
  }
}

function changeOf(name: string): StoreChange | undefined {
  const rest = afterSlash(name)
  switch (kindOf(name)) {
    case 'mode':
      return { what: 'mode' }
    case 'desired':
      return { what: 'desired', worker: rest }
    case 'key':
    case 'used':
      return { what: 'key', id: rest }
    case 'session':
      return { what: 'session', hash: rest }
    default:
      return undefined
  }
}

function sessionOf(value: Json | undefined): StoredSession | undefined {
  if (!isRecord(value)) return undefined
  const { worker, generation, createdAt, endsAt, label } = value
  if (typeof worker !== 'string' || typeof generation !== 'number') return undefined
  if (typeof createdAt !== 'number' || typeof endsAt !== 'number') return undefined
  const session = { worker, generation, createdAt, endsAt }
  return typeof label === 'string' ? { ...session, label: Buffer.from(label, 'base64') } : session
}

function afterSlash(name: string): string {
  return name.slice(name.indexOf('/') + 1)
}

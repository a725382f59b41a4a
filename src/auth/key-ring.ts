import { timingSafeEqual } from 'node:crypto'
import type { Caller } from '../domain/caller.ts'
import { CbtorError } from '../domain/errors.ts'
import type { Key, KeyOrder, StoredKey } from '../domain/key.ts'
import type { Clock } from '../lib/clock.ts'
import { printable } from '../lib/printable.ts'
import type { Random } from '../lib/random.ts'
import { digestOf, drawKey, formatKey, splitKey } from './key-text.ts'

/** What the ring needs of the store. */
export interface KeyStore {
  keys(): readonly StoredKey[]
  addKey(stored: StoredKey): void
  setKeyUsed(id: string, at: number): void
  removeKey(id: string): void
}

export interface KeyRingOptions {
  readonly store: KeyStore
  readonly clock: Clock
  readonly random: Random
  /** Does a write that may fail: nobody is locked out because it cannot be kept when a key was used. */
  readonly keep?: (write: () => void) => void
}

/** A key, and the text that is shown this once. */
export interface NewKey {
  readonly key: Key
  readonly text: string
}

interface Held {
  key: Key
  readonly digest: Buffer
  readonly caller: Caller
  /** Told, once, when the key is of no use any more. */
  readonly onGone: Set<() => void>
}

const HOUR_MS = 60 * 60 * 1_000
/** What an unknown id is compared with: no secret has this digest. */
const NOBODY = Buffer.alloc(32)

/** All keys of the service, at hand: a revoked or expired one is of no use from the next request on. */
export class KeyRing implements Disposable {
  readonly #store: KeyStore
  readonly #clock: Clock
  readonly #random: Random
  readonly #keep: (write: () => void) => void
  readonly #held = new Map<string, Held>()
  #expiry: Disposable | undefined

  constructor({ store, clock, random, keep = (write) => write() }: KeyRingOptions) {
    this.#store = store
    this.#clock = clock
    this.#random = random
    this.#keep = keep
    for (const stored of store.keys()) this.#hold(stored)
    this.#awaitExpiry()
  }

  /** Whether somebody can make keys. */
  get hasAdmin(): boolean {
    return this.list().some((key) => key.scopes.includes('admin') && !this.#isExpired(key))
  }

  /** Those that have expired, too; the oldest first. */
  list(): readonly Key[] {
    return [...this.#held.values()].map(({ key }) => key).sort((a, b) => a.createdAt - b.createdAt)
  }

  /** Whom a key stands for. Does the same work whatever is wrong with it: no id, an unknown one, a secret of another. */
  authenticate(text: string): Caller | undefined {
    const { id, secret } = splitKey(text)
    const held = this.#held.get(id)
    const isRight = timingSafeEqual(digestOf(secret), held?.digest ?? NOBODY)
    if (!isRight || held === undefined || this.#isExpired(held.key)) return undefined
    this.#noteUse(held)
    return held.caller
  }

  /** Whom the key of this id stands for; undefined when there is none of use. */
  callerOf(id: string): Caller | undefined {
    const held = this.#held.get(id)
    return held === undefined || this.#isExpired(held.key) ? undefined : held.caller
  }

  /** A key that is not in the ring yet. */
  draw({ name, scopes, expiresAt, limits = {}, targets = {} }: KeyOrder): NewKey & StoredKey {
    let drawn = drawKey(this.#random)
    while (this.#held.has(drawn.id)) drawn = drawKey(this.#random)
    const key = {
      ...{ id: drawn.id, name, scopes, limits, targets, expiresAt },
      createdAt: this.#clock.now(),
      lastUsedAt: undefined,
    }
    return { key, text: formatKey(drawn), digest: digestOf(drawn.secret) }
  }

  add({ key, digest }: StoredKey): void {
    this.#store.addKey({ key, digest })
    this.#hold({ key, digest })
    this.#awaitExpiry()
  }

  create(order: KeyOrder): NewKey {
    const drawn = this.draw(order)
    this.add(drawn)
    return drawn
  }

  /** Ends a key at once, with what goes on in its name, and forgets it. Throws `key_not_found`. */
  revoke(id: string): Key {
    const held = this.#held.get(id)
    if (held === undefined) {
      throw new CbtorError('key_not_found', `Cannot revoke key "${printable(id)}": there is none of this id`)
    }
    this.#held.delete(id)
    this.#awaitExpiry()
    try {
      this.#store.removeKey(id)
    } finally {
      // Of a store that cannot be written the key would be back at the next start, and whoever revokes it is told so. Not before.
      tellGone([held])
    }
    return held.key
  }

  /** Takes over what others have done to the keys of the store: made some, revoked some, used some. */
  follow(): void {
    const kept = new Map(this.#store.keys().map((stored) => [stored.key.id, stored]))
    const gone = [...this.#held.values()].filter(({ key }) => !kept.has(key.id))
    for (const { key } of gone) this.#held.delete(key.id)
    for (const stored of kept.values()) {
      const held = this.#held.get(stored.key.id)
      if (held === undefined) this.#hold(stored)
      else held.key = { ...held.key, lastUsedAt: latest(held.key.lastUsedAt, stored.key.lastUsedAt) }
    }
    this.#awaitExpiry()
    tellGone(gone)
  }

  /** Calls `listener` once when the key of this id is revoked or expires: at once if it is of no use already. */
  onGone(id: string, listener: () => void): Disposable {
    const held = this.#held.get(id)
    if (held === undefined || this.#isExpired(held.key)) {
      listener()
      return { [Symbol.dispose]() {} }
    }
    const own = () => listener()
    held.onGone.add(own)
    return { [Symbol.dispose]: () => void held.onGone.delete(own) }
  }

  [Symbol.dispose](): void {
    this.#expiry?.[Symbol.dispose]()
  }

  #hold({ key, digest }: StoredKey): void {
    const { id, limits, targets } = key
    const caller = { id, limits, targets, scopes: new Set(key.scopes) }
    this.#held.set(id, { key, digest, caller, onGone: new Set() })
  }

  #isExpired({ expiresAt }: Key): boolean {
    return expiresAt !== undefined && expiresAt <= this.#clock.now()
  }

  #noteUse(held: Held): void {
    const hour = Math.floor(this.#clock.now() / HOUR_MS) * HOUR_MS
    if (held.key.lastUsedAt === hour) return
    held.key = { ...held.key, lastUsedAt: hour }
    this.#keep(() => this.#store.setKeyUsed(held.key.id, hour))
  }

  /** The wall clock may be set, so it is looked at now and then, however far the next expiry is. */
  #awaitExpiry(): void {
    this.#expiry?.[Symbol.dispose]()
    this.#expiry = undefined
    const now = this.#clock.now()
    let next = Number.POSITIVE_INFINITY
    for (const { key } of this.#held.values()) {
      const { expiresAt = now } = key
      if (expiresAt > now) next = Math.min(next, expiresAt)
    }
    if (next === Number.POSITIVE_INFINITY) return
    this.#expiry = this.#clock.timer(Math.min(next - now, HOUR_MS), () => {
      this.#awaitExpiry()
      tellGone([...this.#held.values()].filter(({ key }) => this.#isExpired(key)))
    })
  }
}

function latest(a: number | undefined, b: number | undefined): number | undefined {
  return a === undefined || b === undefined ? (a ?? b) : Math.max(a, b)
}

/** Tells all of them, also behind one that throws, and throws what the first one did. */
function tellGone(gone: readonly Held[]): void {
  const failures: unknown[] = []
  for (const { onGone } of gone) {
    const listeners = [...onGone]
    onGone.clear()
    for (const listener of listeners) {
      try {
        listener()
      } catch (error) {
        failures.push(error)
      }
    }
  }
  if (failures.length > 0) throw failures[0]
}

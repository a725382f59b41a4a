import type { Caller, Scope } from '../domain/caller.ts'
import { CbtorError } from '../domain/errors.ts'
import type { Key, KeyOrder } from '../domain/key.ts'
import type { Keys } from './keys.ts'

/** Keys that are easy to guess, for tests: `cbt_key1_secret` is the first one. */
export class FakeKeys implements Keys {
  readonly #keys = new Map<string, Key>()
  readonly #onGone = new Map<string, Set<() => void>>()
  #made = 0
  /** What it was asked to judge. */
  readonly shown: string[] = []

  authenticate(text: string): Caller | undefined {
    this.shown.push(text)
    const [, id = ''] = /^cbt_(\w+)_secret$/.exec(text) ?? []
    return this.callerOf(id)
  }

  callerOf(id: string): Caller | undefined {
    const key = this.#keys.get(id)
    return key && { id, scopes: new Set(key.scopes), limits: key.limits, targets: key.targets }
  }

  onGone(id: string, listener: () => void): Disposable {
    const listeners = this.#onGone.get(id) ?? new Set()
    this.#onGone.set(id, listeners.add(listener))
    return { [Symbol.dispose]: () => void listeners.delete(listener) }
  }

  list(): readonly Key[] {
    return [...this.#keys.values()]
  }

  create({ name, scopes, expiresAt, limits = {}, targets = {} }: KeyOrder): { key: Key; text: string } {
    const id = `key${++this.#made}`
    const key = { id, name, scopes, limits, targets, expiresAt, createdAt: 0, lastUsedAt: undefined }
    this.#keys.set(id, key)
    return { key, text: `cbt_${id}_secret` }
  }

  revoke(id: string): Key {
    const key = this.#keys.get(id)
    if (key === undefined) throw new CbtorError('key_not_found', 'Cannot revoke the key: there is none of this id')
    this.#keys.delete(id)
    for (const listener of this.#onGone.get(id) ?? []) listener()
    return key
  }

  /** The headers of a request with a new key. */
  with(...scopes: Scope[]): { authorization: string } {
    return { authorization: `Bearer ${this.create({ name: scopes.join(), scopes }).text}` }
  }

  /** Those who wait for a key to go. */
  get listeners(): number {
    return [...this.#onGone.values()].reduce((sum, { size }) => sum + size, 0)
  }
}

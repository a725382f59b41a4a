import type { StoredKey } from '../domain/key.ts'
import type { KeyStore } from './key-ring.ts'

/** Keeps keys in memory, for tests. */
export class MemoryKeyStore implements KeyStore {
  readonly #keys = new Map<string, StoredKey>()
  /** Ids of keys, each time that one was said to be used. */
  readonly uses: string[] = []

  keys(): readonly StoredKey[] {
    return [...this.#keys.values()]
  }

  addKey(stored: StoredKey): void {
    this.#keys.set(stored.key.id, stored)
  }

  setKeyUsed(id: string, at: number): void {
    this.uses.push(id)
    const stored = this.#keys.get(id)
    if (stored) this.#keys.set(id, { ...stored, key: { ...stored.key, lastUsedAt: at } })
  }

  removeKey(id: string): void {
    this.#keys.delete(id)
  }
}

import type { KeyLimits, Scope, TargetRules } from './caller.ts'

/** What is known of a key. Its secret is not: who has it, has it from the answer that made the key. */
export interface Key {
  readonly id: string
  /** For people: what it is used for. */
  readonly name: string
  readonly scopes: readonly Scope[]
  readonly createdAt: number
  /** From then on it is as if it were revoked. */
  readonly expiresAt: number | undefined
  /** The hour in which it was used last, so that a request seldom writes to the store. */
  readonly lastUsedAt: number | undefined
  readonly limits: KeyLimits
  readonly targets: TargetRules
}

/** What somebody wants of a new key. */
export interface KeyOrder {
  readonly name: string
  readonly scopes: readonly Scope[]
  readonly expiresAt?: number
  readonly limits?: KeyLimits
  readonly targets?: TargetRules
}

/** As it is kept. */
export interface StoredKey {
  readonly key: Key
  /** SHA-256 of the secret, which is random and long, so that nobody can guess it from this. */
  readonly digest: Buffer
}

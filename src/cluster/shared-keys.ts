import { type KeyLimits, SCOPES, type Scope, type TargetRules } from '../domain/caller.ts'
import type { StoredKey } from '../domain/key.ts'
import { isRecord, type Json } from '../lib/json.ts'

const LIMITS: readonly string[] = ['rate', 'burst', 'concurrent', 'bytesPerDay']
const TARGETS: readonly string[] = ['allow', 'deny']

/** A key as the value of a register. */
export function valueOfKey({ key, digest }: StoredKey): Json {
  const { name, scopes, limits, targets, createdAt, expiresAt } = key
  return {
    ...{ name, scopes, createdAt, digest: digest.toString('hex') },
    limits: { ...limits },
    targets: { ...targets },
    ...(expiresAt !== undefined && { expiresAt }),
  }
}

/**
 * Undefined when it is none, or when it is bound by something that only a later version knows: such a key is of no use at this
 * replica, rather than of more use than it was given.
 */
export function keyOfValue(id: string, value: Json, lastUsedAt: number | undefined): StoredKey | undefined {
  if (!isRecord(value)) return undefined
  const { name, scopes, createdAt, expiresAt, digest, limits, targets } = value
  if (typeof name !== 'string' || typeof createdAt !== 'number' || typeof digest !== 'string') return undefined
  if (expiresAt !== undefined && typeof expiresAt !== 'number') return undefined
  if (!isList(scopes) || !isLimits(limits) || !isTargets(targets)) return undefined
  const key = { id, name, scopes: scopes.filter(isScope), limits, targets, createdAt, expiresAt, lastUsedAt }
  return { key, digest: Buffer.from(digest, 'hex') }
}

function isLimits(value: Json | undefined): value is KeyLimits & { readonly [name: string]: Json } {
  return isRecord(value) && Object.entries(value).every(([name, limit]) => LIMITS.includes(name) && isCount(limit))
}

function isTargets(value: Json | undefined): value is TargetRules & { readonly [name: string]: Json } {
  return isRecord(value) && Object.entries(value).every(([name, rules]) => TARGETS.includes(name) && isList(rules))
}

function isList(value: Json | undefined): value is readonly string[] {
  return Array.isArray(value) && value.every((each) => typeof each === 'string')
}

function isCount(value: Json): value is number {
  return typeof value === 'number' && value >= 0
}

function isScope(text: string): text is Scope {
  return SCOPES.some((scope) => scope === text)
}

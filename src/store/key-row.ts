import { type KeyLimits, SCOPES, type Scope, type TargetRules } from '../domain/caller.ts'
import type { StoredKey } from '../domain/key.ts'

/** A key as a row of its table. Lists and records are JSON in it: nobody looks for keys by them. */
export function rowOf({ key, digest }: StoredKey) {
  return {
    id: key.id,
    name: key.name,
    digest,
    scopes: JSON.stringify(key.scopes),
    limits: JSON.stringify(key.limits),
    targets: JSON.stringify(key.targets),
    created_at: key.createdAt,
    expires_at: key.expiresAt ?? null,
    last_used_at: key.lastUsedAt ?? null,
  }
}

/** What `rowOf` made: nobody else writes to the table. */
export function keyOf(row: Readonly<Record<string, unknown>>): StoredKey {
  const key = {
    id: String(row.id),
    name: String(row.name),
    scopes: (JSON.parse(String(row.scopes)) as string[]).filter(isScope),
    limits: JSON.parse(String(row.limits)) as KeyLimits,
    targets: JSON.parse(String(row.targets)) as TargetRules,
    createdAt: Number(row.created_at),
    expiresAt: row.expires_at === null ? undefined : Number(row.expires_at),
    lastUsedAt: row.last_used_at === null ? undefined : Number(row.last_used_at),
  }
  return { key, digest: Buffer.from(row.digest as Uint8Array) }
}

function isScope(text: string): text is Scope {
  return SCOPES.some((scope) => scope === text)
}

/** By what a store is known to be that of this pool. */
import { hkdfSync } from 'node:crypto'
import { StoreError } from '../store/store-error.ts'
import type { Script, StoreLink } from './store-link.ts'

/**
 * Of what is kept in the store. Replicas of one major version work together, whatever their minors: they keep and pass on what they do
 * not know. A minor rises when something is added, and never falls.
 */
export const STORE_SCHEMA = { major: 1, minor: 0 } as const

export interface PoolMarker {
  readonly prefix: string
  readonly secret: Buffer
  /** Of CBTOR. */
  readonly version: string
  readonly schema?: { readonly major: number; readonly minor: number }
}

/** KEYS: the marker. ARGV: verifier, major, minor, version. Returns what is there then: verifier, major, minor, version. */
const MARK: Script = {
  name: 'markPool',
  keys: 1,
  lua: `
local there = redis.call('HMGET', KEYS[1], 'verifier', 'major', 'minor', 'version')
local isNew = not there[1]
local isNewer = there[1] == ARGV[1] and there[2] == ARGV[2] and tonumber(there[3]) < tonumber(ARGV[3])
if isNew or isNewer then
  redis.call('HSET', KEYS[1], 'verifier', ARGV[1], 'major', ARGV[2], 'minor', ARGV[3], 'version', ARGV[4])
end
return redis.call('HMGET', KEYS[1], 'verifier', 'major', 'minor', 'version')`,
}

/** Marks a store that is new; rejects with a `StoreError` when it is another pool's, or of a version that does not go with this one. */
export async function markPool(call: StoreLink['call'], key: string, marker: PoolMarker): Promise<void> {
  const { secret, version, schema = STORE_SCHEMA } = marker
  const { major, minor } = schema
  const there = await call('EVAL', MARK.lua, MARK.keys, key, verifierOf(secret), major, minor, version)
  throwUnlessOurs(there, marker)
}

/** As `markPool`, and changes nothing. Resolves with whether it is marked. */
export async function lookAtPool(call: StoreLink['call'], key: string, marker: PoolMarker): Promise<boolean> {
  const there = await call('HMGET', key, 'verifier', 'major', 'minor', 'version')
  if (Array.isArray(there) && there.every((field) => field === null)) return false
  throwUnlessOurs(there, marker)
  return true
}

function verifierOf(secret: Buffer): string {
  return Buffer.from(hkdfSync('sha256', secret, '', 'cbtor pool verifier', 32)).toString('base64')
}

function throwUnlessOurs(there: unknown, { prefix, secret, version, schema = STORE_SCHEMA }: PoolMarker): void {
  const [itsVerifier, major, minor, itsVersion] = Array.isArray(there) ? there.map(String) : []
  if (itsVerifier !== verifierOf(secret))
    throw new StoreError(
      'refused',
      `Cannot use the store: another pool uses the prefix ${prefix}: give the same cluster.secret_file as its replicas have, or another cluster.prefix`,
    )
  if (major !== String(schema.major))
    throw new StoreError(
      'refused',
      `Cannot use the store: it has been written by CBTOR ${itsVersion} (store ${major}.${minor}), which does not go with this one, ${version} (store ${schema.major}.${schema.minor}): see docs/operations.md`,
    )
}

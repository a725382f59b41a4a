import { StoreError } from '../store/store-error.ts'
import type { StoreLink } from './store-link.ts'

/** What a store says of itself. */
export interface StoreFacts {
  readonly product: 'Valkey' | 'Redis'
  /** `7.0.15`. */
  readonly version: string
  /** Of several that share the keys: not one of which has all of them. */
  readonly isOneOfMany: boolean
  /** It copies another one, and takes no writes. */
  readonly isReplica: boolean
  /** Whether it forgets keys when its memory is full. */
  readonly forgets: boolean
  /** Whether what it has acknowledged is there after it was started anew. */
  readonly isDurable: boolean
}

/** Redis 6.2 is of 2021; Debian 11 has 6.0. Every Valkey is younger. */
const OLDEST = [6, 2] as const

/** Rejects with a `StoreError` when it is none that can be used. */
export async function readStoreFacts(call: StoreLink['call']): Promise<StoreFacts> {
  const info = await call('INFO')
  const fields = new Map(
    String(info)
      .split('\r\n')
      .map((line) => [line.slice(0, line.indexOf(':')), line.slice(line.indexOf(':') + 1)]),
  )
  const valkey = fields.get('valkey_version')
  const version = valkey ?? fields.get('redis_version')
  if (version === undefined) throw new StoreError('refused', `What answers there is neither Valkey nor Redis`)
  return {
    product: valkey === undefined ? 'Redis' : 'Valkey',
    version,
    isOneOfMany: (fields.get('server_mode') ?? fields.get('redis_mode')) === 'cluster',
    isReplica: fields.get('role') === 'slave',
    forgets: (fields.get('maxmemory_policy') ?? 'noeviction') !== 'noeviction',
    isDurable: fields.get('aof_enabled') === '1',
  }
}

/** Throws a `StoreError`. `at`: of the store, for people. */
export function throwUnlessUsable({ product, version, isOneOfMany, isReplica }: StoreFacts, at: string): void {
  const [major = 0, minor = 0] = version.split('.').map(Number)
  const isTooOld = major < OLDEST[0] || (major === OLDEST[0] && minor < OLDEST[1])
  if (product === 'Redis' && isTooOld)
    throw new StoreError(
      'refused',
      `Cannot use the store at ${at}: it is Redis ${version}, and ${OLDEST.join('.')} is needed, or Valkey`,
    )
  if (isOneOfMany)
    throw new StoreError(
      'refused',
      `Cannot use the store at ${at}: it is part of a ${product} Cluster, and a single server is needed`,
    )
  if (isReplica)
    throw new StoreError(
      'unreachable',
      `Cannot use the store at ${at}: it is the replica of another one and takes no writes: expected the primary`,
    )
}

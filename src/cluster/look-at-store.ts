import type { Clock } from '../lib/clock.ts'
import { lookAtPool } from './pool-marker.ts'
import { readStoreFacts, type StoreFacts, throwUnlessUsable } from './store-facts.ts'
import { showStoreAddress } from './store-url.ts'
import { type StoreAccess, ValkeyConnection } from './valkey-connection.ts'

export interface StoreSeen {
  /** For people: `10.0.0.5:6379`. */
  readonly at: string
  readonly facts: StoreFacts
  /** Whether a replica of this pool has used it; undefined when we have no secret to tell by. */
  readonly isOurs: boolean | undefined
}

export interface PoolAt {
  readonly prefix: string
  /** Undefined: it is not known here. */
  readonly secret: Buffer | undefined
  /** Of CBTOR. */
  readonly version: string
}

/** Asks a store what it is and whose, and changes nothing. Rejects with a `StoreError` of one that the service could not use. */
export async function lookAtStore(
  access: StoreAccess,
  pool: PoolAt,
  clock: Clock,
  signal: AbortSignal,
): Promise<StoreSeen> {
  using connection = await ValkeyConnection.open({ access, clock, onEnd: () => {} }, signal)
  const { prefix, secret, version } = pool
  const call = (
    command: string,
    ...args: Parameters<typeof connection.call> extends [string, ...infer R] ? R : never
  ) => connection.call(command, ...args)
  const at = showStoreAddress(access.address)
  const facts = await readStoreFacts(call)
  throwUnlessUsable(facts, at)
  const isOurs = secret && (await lookAtPool(call, `{${prefix}}:pool`, { prefix, secret, version }))
  return { at, facts, isOurs }
}

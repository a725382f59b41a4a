import { lookAtStore, type StoreSeen } from '../cluster/look-at-store.ts'
import { readPoolSecret } from '../cluster/pool-secret.ts'
import { readStoreAccess, StoreError } from '../cluster/store-access.ts'
import type { ServiceConfig } from '../config/read-config.ts'
import type { Clock } from '../lib/clock.ts'
import { type Finding, messageOf, ok, unchecked, warning, worst, wrong } from './finding.ts'

const NAME = 'shared store'

export interface StoreQuestion {
  readonly clock: Clock
  /** Of CBTOR. */
  readonly version: string
}

/** The store that replicas share: whether it answers, can be used, is this pool's, and keeps what it is given. Nothing without one. */
export async function checkSharedStore(
  { store, cluster }: Pick<ServiceConfig, 'store' | 'cluster'>,
  { clock, version }: StoreQuestion,
  signal: AbortSignal,
): Promise<readonly Finding[]> {
  if (store === 'embedded') return []
  try {
    const secret = readPoolSecret(cluster.secret_file)
    const access = readStoreAccess({ store, cluster })
    return judgeStore(await lookAtStore(access, { prefix: cluster.prefix, secret, version }, clock, signal))
  } catch (error) {
    signal.throwIfAborted()
    if (error instanceof StoreError && isForbidden(error))
      return [unchecked(NAME, error.message, 'Run this as the user of the service')]
    const mend =
      error instanceof StoreError && error.kind === 'unreachable'
        ? 'Start it, or see the field store'
        : 'See docs/operations.md'
    return [wrong(NAME, messageOf(error), mend)]
  }
}

export function judgeStore({ at, facts, isOurs }: StoreSeen): readonly Finding[] {
  const { product, version, forgets, isDurable } = facts
  const found: Finding[] = []
  if (forgets)
    found.push(
      warning(
        NAME,
        `${product} at ${at} forgets what is there when its memory is full`,
        'Set maxmemory-policy noeviction',
      ),
    )
  if (!isDurable)
    found.push(
      warning(NAME, `${product} at ${at} loses what it has acknowledged when it is started anew`, 'Set appendonly yes'),
    )
  const whose =
    isOurs === undefined ? 'whose is not known without cluster.secret_file' : isOurs ? 'of this pool' : 'new'
  return worst(found, ok(NAME, `${product} ${version} at ${at}, ${whose}`))
}

function isForbidden({ cause }: StoreError): boolean {
  return cause instanceof Error && 'code' in cause && cause.code === 'EACCES'
}

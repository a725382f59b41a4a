import type { Clock } from '../lib/clock.ts'
import type { Logger } from '../lib/log.ts'
import type { Random } from '../lib/random.ts'
import { StoreError } from '../store/store-error.ts'
import { markPool } from './pool-marker.ts'
import { readStoreFacts, type StoreFacts, throwUnlessUsable } from './store-facts.ts'
import { StoreUnavailable } from './store-link.ts'
import { parseStoreUrl, showStoreAddress } from './store-url.ts'
import { ValkeyLink } from './valkey-link.ts'

export interface OpenStoreOptions {
  /** As `store` in the configuration. */
  readonly url: string
  readonly password: string | undefined
  /** The authority of its certificate in PEM; undefined: those of the system. */
  readonly ca: string | undefined
  readonly prefix: string
  /** The pool's. */
  readonly secret: Buffer
  readonly replica: string
  /** Of CBTOR. */
  readonly version: string
  /** How long a store that cannot be reached may take to come; 0: not at all, `Infinity`: until the signal aborts. */
  readonly waitMs: number
  /** Told what is waited for: when it begins, and when the reason is another. */
  readonly onWait?: (reason: string) => void
  readonly clock: Clock
  readonly random: Random
  readonly logger: Logger
}

const RETRY_MS = 1_000

/**
 * The link to the store of this pool. Rejects with a `StoreError` when it cannot be reached, or is none for us: not Valkey or Redis, too
 * old, another pool's, of a version that does not go with ours. Rejects with the signal's reason when that aborts first.
 */
export async function openStore(options: OpenStoreOptions, signal: AbortSignal): Promise<ValkeyLink> {
  const { waitMs, clock, onWait } = options
  const until = clock.monotonic() + waitMs
  let told: string | undefined
  for (;;) {
    try {
      return await open(options, signal)
    } catch (error) {
      signal.throwIfAborted()
      const fault = asStoreError(error)
      if (fault.kind === 'refused') throw fault
      if (clock.monotonic() >= until)
        throw waitMs === 0 ? fault : new StoreError('unreachable', fault.message, { cause: fault, isWaitedFor: true })
      if (told !== fault.message) onWait?.(fault.message)
      told = fault.message
      await clock.sleep(Math.min(RETRY_MS, until - clock.monotonic()), signal)
    }
  }
}

async function open(options: OpenStoreOptions, signal: AbortSignal): Promise<ValkeyLink> {
  const { url, password, ca, prefix, secret, replica, version, clock, random, logger } = options
  const address = parseStoreUrl(url)
  if (typeof address === 'string') throw new StoreError('refused', `Cannot use the store: ${address}`)
  const at = showStoreAddress(address)
  let isTold = false
  const access = { address, password, ca, clientName: `cbtor-${replica}` }
  return await ValkeyLink.open(
    {
      ...{ access, prefix, clock, random, logger },
      async verify(call) {
        const facts = await readStoreFacts(call)
        throwUnlessUsable(facts, at)
        await markPool(call, `{${prefix}}:pool`, { prefix, secret, version })
        if (!isTold) tell(logger, at, facts)
        isTold = true
      },
    },
    signal,
  )
}

function tell(logger: Logger, at: string, { product, version, forgets, isDurable }: StoreFacts): void {
  logger.info({ at, product, version }, 'the shared store answers')
  if (forgets)
    logger.warn(
      { at },
      'the shared store forgets what is there when its memory is full: set maxmemory-policy noeviction',
    )
  if (!isDurable)
    logger.warn({ at }, 'the shared store loses what it has acknowledged when it is started anew: set appendonly yes')
}

function asStoreError(error: unknown): StoreError {
  if (error instanceof StoreError) return error
  if (error instanceof StoreUnavailable) return new StoreError('unreachable', error.message)
  return new StoreError('refused', `Cannot use the store: ${error instanceof Error ? error.message : error}`, {
    cause: error,
  })
}

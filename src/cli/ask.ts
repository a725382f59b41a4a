import type { ApiClient } from '../client/client.ts'
import { deadline } from '../lib/abort.ts'
import type { ServiceFlags } from './flags.ts'
import type { ServiceParts } from './parts.ts'

/** The longest orders, such as a restart of Tor, take some ten seconds. */
const ANSWER_LIMIT_MS = 120_000

/** Asks a running service for what it answers soon, if it is well. */
export async function ask<T>(
  flags: ServiceFlags,
  parts: ServiceParts,
  question: (api: ApiClient, signal: AbortSignal) => Promise<T>,
): Promise<T> {
  const api = await parts.connect(flags)
  const late = () =>
    new Error(
      `Cannot go on: the service has not answered within ${ANSWER_LIMIT_MS / 1_000} s. See what holds it: cbtor doctor`,
    )
  using limit = deadline(parts.clock, ANSWER_LIMIT_MS, parts.signal, late)
  return await question(api, limit.signal)
}

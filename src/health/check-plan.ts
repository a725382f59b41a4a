import { isOnionHost } from '../domain/worker.ts'

/** A page that answers as long as the way to it is good. */
export interface CheckEndpoint {
  readonly name: string
  readonly url: string
}

export function isOnionEndpoint({ url }: CheckEndpoint): boolean {
  return isOnionHost(new URL(url).hostname)
}

/**
 * The endpoints of a worker's probe number `turn`, in the order in which they are tried. They rotate, so that none is
 * asked more than it needs to be. Onion services take longer and burden more relays, so they only fill up the places
 * that the clearnet endpoints leave.
 */
export function planProbe(endpoints: readonly CheckEndpoint[], turn: number, most: number): readonly CheckEndpoint[] {
  const onion = endpoints.filter(isOnionEndpoint)
  const clearnet = endpoints.filter((endpoint) => !isOnionEndpoint(endpoint))
  return [...rotated(clearnet, turn), ...rotated(onion, turn)].slice(0, most)
}

/**
 * Which onion endpoint is checked through which worker at the `turn`-th check of onion endpoints: one after the other,
 * and each by another worker the next time, until every pair has had its turn.
 */
export function planOnionCheck(
  endpoints: readonly CheckEndpoint[],
  workers: readonly string[],
  turn: number,
): { readonly endpoint: CheckEndpoint; readonly worker: string } | undefined {
  const onion = endpoints.filter(isOnionEndpoint)
  const site = turn % onion.length
  const round = Math.floor(turn / onion.length)
  const endpoint = onion[site]
  const worker = workers[(site + round) % workers.length]
  return endpoint && worker !== undefined ? { endpoint, worker } : undefined
}

function rotated<T>(items: readonly T[], by: number): readonly T[] {
  const at = items.length === 0 ? 0 : by % items.length
  return [...items.slice(at), ...items.slice(0, at)]
}

import { connect } from 'node:net'
import { postOver } from '../lib/post-over.ts'
import type { LocalTarget } from './local-receivers.ts'

/** Posts to an address that the operator has listed, without Tor, as `postOver` does: nothing is resolved. */
export async function postLocally(
  { host, port, path }: LocalTarget,
  headers: Readonly<Record<string, string>>,
  body: string,
  signal: AbortSignal,
): Promise<number> {
  signal.throwIfAborted()
  return await postOver(connect({ host, port }), { host, port, path, headers, body }, signal)
}

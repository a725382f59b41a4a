import { connect } from 'node:net'
import { connect as connectTls } from 'node:tls'
import { postOver } from '../lib/post-over.ts'
import type { TracesConfig } from './traces-config.ts'

/** Posts to the collector that the operator has named, by its IP address and without Tor, as `postOver` does: nothing is resolved. */
export async function postToCollector(
  { host, port, path, tls, headers }: TracesConfig['collector'],
  body: string,
  signal: AbortSignal,
): Promise<number> {
  signal.throwIfAborted()
  const socket = tls === undefined ? connect({ host, port }) : connectTls({ host, port, ...(tls.ca && { ca: tls.ca }) })
  return await postOver(
    socket,
    { host, port, path, headers: { ...headers, 'content-type': 'application/json' }, body },
    signal,
  )
}

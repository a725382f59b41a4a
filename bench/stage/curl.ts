import type { Way } from '../load/order.ts'
import type { Room } from './room.ts'

export interface CurlRequest {
  readonly url: string
  /** What identities are told apart by, where the way can: a SOCKS user name, a proxy user name, or a sticky key. */
  readonly key?: string
  readonly caFile: string
  /** More of the body of a fetch. */
  readonly fields?: Readonly<Record<string, unknown>>
}

/** Milliseconds to the first byte, as curl tells it, of a request by a curl of its own. Rejects when the answer is not 200. */
export async function firstByteMs(room: Room, way: Way, request: CurlRequest): Promise<number> {
  const common = ['-sS', '--fail', '-m', '30', '-o', '/dev/null', '-w', '%{time_starttransfer}', '--noproxy', '']
  const seconds = await room.run(['curl', ...common, '--cacert', request.caFile, ...argumentsOf(way, request)])
  return Number(seconds) * 1_000
}

let turn = 0

function argumentsOf(way: Way, { url, key, fields }: CurlRequest): string[] {
  if (way.kind === 'fetch') {
    const body = { url, ...(key !== undefined && { sticky_key: key }), ...way.fields, ...fields }
    const json = ['-H', 'content-type: application/json', '-d', JSON.stringify(body)]
    return [...json, `http://127.0.0.1:${way.port}${way.path}`]
  }
  const port = way.ports[turn++ % way.ports.length]
  const scheme = way.kind === 'socks' ? 'socks5h' : 'http'
  // As CBTOR reads user names; to Tor, any is as good.
  const user = way.user ?? (key && `key-${key}`)
  return [
    ...['-x', `${scheme}://127.0.0.1:${port}`],
    ...(way.kind === 'connect' ? ['--proxytunnel'] : []),
    ...(user === undefined ? [] : ['-U', `${user}:x`]),
    url,
  ]
}

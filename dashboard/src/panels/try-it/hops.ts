import type { FetchAnswerBody } from '../../api/bodies.ts'

/** A station of the way from here to the target. */
export interface Hop {
  readonly role: string
  readonly name: string
  readonly country: string | null
  readonly kind: 'here' | 'worker' | 'relay' | 'exit' | 'target' | 'unknown'
  readonly title?: string
}

/** The way that a fetch took, as its receipt tells it. */
export function hopsOf({ url, receipt }: Pick<FetchAnswerBody, 'url' | 'receipt'>): readonly Hop[] {
  const { hostname } = new URL(url)
  const isOnion = hostname.endsWith('.onion')
  return [
    { role: 'gateway', name: 'CBTOR', country: null, kind: 'here' },
    {
      role: receipt.route === 'transparent' ? 'worker, by tunnel' : 'worker, by SOCKS',
      ...{ name: receipt.worker, country: null, kind: 'worker' },
    },
    ...relaysOf(receipt, isOnion),
    {
      role: isOnion ? 'onion service' : 'target',
      ...{ name: isOnion ? shortOnion(hostname) : hostname, title: hostname, country: null, kind: 'target' },
    },
  ]
}

function relaysOf({ circuit_path: path, exit }: FetchAnswerBody['receipt'], isOnion: boolean): readonly Hop[] {
  if (path && path.length > 0) {
    return path.map(({ nickname, country, fingerprint }, n) => {
      const isLast = n === path.length - 1
      const role = n === 0 ? 'guard' : isLast ? (isOnion ? 'rendezvous' : 'exit') : 'middle'
      return { role, name: nickname, country, title: fingerprint, kind: isLast && !isOnion ? 'exit' : 'relay' }
    })
  }
  const circuit: Hop = { role: 'circuit', name: 'not told', country: null, kind: 'unknown' }
  if (!exit) return [circuit]
  const { nickname, country, fingerprint } = exit
  return [circuit, { role: 'exit', name: nickname, country, title: fingerprint, kind: 'exit' }]
}

/** The 56 letters say nothing to people: the first and the last are enough to tell two apart. */
function shortOnion(hostname: string): string {
  const [address = ''] = hostname.split('.').slice(-2)
  return address.length > 20 ? `${address.slice(0, 8)}…${address.slice(-4)}.onion` : hostname
}

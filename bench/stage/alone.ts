import { Cbtor } from './cbtor.ts'
import { Loader } from './loader.ts'
import { lineOf, type Room } from './room.ts'
import { ROOT } from './root.ts'

/** Of the SOCKS port that stands in for a Tor, and takes no time. */
export const SOCKS_PORT = 9_000
export const SITE_PORT = 8_000
export const ALONE_PORTS = { api: 32_212, http: 8_119, socks: 1_081 } as const

/** A gateway without Tor behind it: what is measured then is the gateway. */
export interface Alone {
  readonly loader: Loader
  readonly cbtor: Cbtor
}

export async function startAlone(room: Room, directory: string, nodeFlags: readonly string[] = []): Promise<Alone> {
  const site = room.start(
    'alone-site',
    [process.execPath, `${ROOT}/bench/site/main.ts`, '127.0.0.1', `${SITE_PORT}`, `${SOCKS_PORT}`],
    { readsOutput: true },
  )
  await lineOf(site, /^ready$/)
  const cbtor = await Cbtor.start(room, {
    ...{ name: 'alone', directory, ports: ALONE_PORTS, nodeFlags },
    config: {
      workers: [1, 2, 3, 4].map((n) => ({ kind: 'external', id: `tor0${n}`, socks: `127.0.0.1:${SOCKS_PORT}` })),
      checks: { clearnet: ['http://check.cbtor.test/api/ip'], onion: [] },
    },
  })
  return { loader: new Loader(room, 'alone-load'), cbtor }
}

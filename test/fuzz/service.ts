/** A service of its own process for the fuzz, with fake workers. Tells its parent where it listens and, when asked, what it holds. */
import { silentLogger } from '../../src/lib/log.ts'
import { startLab } from '../bad-inputs/lab.ts'

export interface Started {
  readonly ports: Readonly<Record<'api' | 'http' | 'socks' | 'both', number>>
  readonly key: string
}

/** After a collection of garbage; bytes. */
export interface Held {
  readonly heap: number
  readonly external: number
  readonly rss: number
  /** TCP connections and pipes that are open, and the targets' ends of streams. */
  readonly connections: number
  readonly streams: number
}

const lab = await startLab({ logger: silentLogger })
process.on('message', () => {
  lab.forget()
  for (let count = 0; count < 3; count++) globalThis.gc?.()
  const { heapUsed: heap, external, rss } = process.memoryUsage()
  const connections = process.getActiveResourcesInfo().filter((name) => /^(?:TCPSocket|Pipe)Wrap$/.test(name)).length
  process.send?.({ heap, external, rss, connections, streams: lab.sockets.size } satisfies Held)
})
process.once('disconnect', () => process.exit())
process.send?.({ ports: lab.ports, key: lab.key } satisfies Started)

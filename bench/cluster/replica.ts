/**
 * A replica: the service, real but for its workers, which are boxes of the world. Takes its name, the directory of the world and its
 * configuration, as JSON.
 */
import { once } from 'node:events'
import { parseConfig } from '../../src/config/read-config.ts'
import { createService } from '../../src/service.ts'
import type { ReplicaReady } from './words.ts'
import { CHECK_HOST, WorldLink, WorldWorker } from './world-worker.ts'

interface ReplicaOptions {
  readonly replica: string
  readonly world: string
  readonly config: Readonly<Record<string, unknown>>
}

const startedAt = performance.now()
const { replica, world: directory, config } = JSON.parse(process.argv[2] ?? '{}') as ReplicaOptions
const end = new AbortController()
process.on('SIGTERM', () => end.abort())
process.on('disconnect', () => end.abort()) // its parent has gone
using world = await WorldLink.open(directory, replica)
const document = { checks: { clearnet: [`http://${CHECK_HOST}/`], onion: [] }, ...config }
const createDriver = (id: string) => new WorldWorker(id, world)
await using service = await createService(parseConfig(document, {}), { createDriver }, end.signal)
// One that is broken just now is no reason to wait.
await service.ready(AbortSignal.timeout(15_000)).catch(() => {})
process.send?.({ type: 'ready', ms: performance.now() - startedAt } satisfies ReplicaReady)
if (!end.signal.aborted) await once(end.signal, 'abort')
if (process.connected) process.disconnect()

import { COUNT, type StoreLinkSubject, storeLinkContract } from '../../test/contracts/store-link-contract.ts'
import { startValkey } from '../../test/valkey.ts'
import { systemClock } from '../lib/clock.ts'
import { silentLogger } from '../lib/log.ts'
import { systemRandom } from '../lib/random.ts'
import { MemoryStore } from './memory-link.ts'
import { openStore } from './open-store.ts'

storeLinkContract('in memory', async () => {
  const counts = new Map<string, number>()
  const count = ([key = '']: readonly string[], [by, text]: readonly string[]) => {
    const sum = (counts.get(key) ?? 0) + Number(by)
    counts.set(key, sum)
    return [sum, text]
  }
  const store = new MemoryStore(systemClock, new Map([[COUNT.name, count]]))
  const subject: StoreLinkSubject = {
    ...{ one: store.link(), two: store.link() },
    stop: async () => store.stop(),
    start: async () => store.start(),
    freeze: () => store.freeze(),
    thaw: () => store.thaw(),
    async [Symbol.asyncDispose]() {},
  }
  return subject
})

storeLinkContract('Valkey or Redis', async () => {
  await using owned = new AsyncDisposableStack()
  const store = owned.use(await startValkey())
  const how = { url: store.url, password: store.password, ca: undefined, prefix: 'test', secret: Buffer.alloc(32, 7) }
  const parts = { version: '1.0.0', waitMs: 0, clock: systemClock, random: systemRandom, logger: silentLogger }
  const open = (replica: string) => openStore({ ...how, ...parts, replica }, new AbortController().signal)
  const [one, two] = [owned.use(await open('gw1')), owned.use(await open('gw2'))]
  const disposed = owned.move()
  return {
    ...{ one, two },
    stop: () => store.kill(),
    start: () => store.restart(),
    freeze: () => store.freeze(),
    thaw: () => store.thaw(),
    [Symbol.asyncDispose]: () => disposed[Symbol.asyncDispose](),
  }
})

import assert from 'node:assert/strict'
import { it } from 'node:test'
import { setTimeout as waitMs } from 'node:timers/promises'
import { registerHubContract } from '../../test/contracts/register-hub-contract.ts'
import { storeContract } from '../../test/contracts/store-contract.ts'
import { usageStoreContract } from '../../test/contracts/usage-store-contract.ts'
import { startValkey } from '../../test/valkey.ts'
import { systemClock } from '../lib/clock.ts'
import { createLogger } from '../lib/log.ts'
import { systemRandom } from '../lib/random.ts'
import { Seal } from '../lib/seal.ts'
import { HybridClock } from './hybrid-clock.ts'
import { stampOf } from './lww-registers.ts'
import { openStore } from './open-store.ts'
import { SharedRegisters } from './shared-registers.ts'
import { SharedStore } from './shared-store.ts'
import { ValkeyRegisters } from './valkey-registers.ts'

const never = new AbortController().signal
const SECRET = Buffer.alloc(32, 5)

async function place() {
  const stack = new AsyncDisposableStack()
  const valkey = stack.use(await startValkey())
  const links: { readonly isUp: boolean }[] = []
  async function link(): Promise<ValkeyRegisters> {
    const store = await openStore(
      {
        ...{ url: valkey.url, password: undefined, ca: undefined, prefix: 'test', secret: SECRET },
        ...{ replica: `gw${links.length}`, version: '1.0.0', waitMs: 0, clock: systemClock, random: systemRandom },
        logger: createLogger('silent'),
      },
      never,
    )
    links.push(stack.use(store))
    return new ValkeyRegisters({
      link: store,
      seal: new Seal(SECRET, 'registers', systemRandom),
      random: systemRandom,
    })
  }
  return {
    valkey,
    link,
    empty: async () => void (await valkey.cli('DEL', ...(await valkey.cli('KEYS', '*registers*')).split('\n'))),
    async restart() {
      await valkey.restart()
      await until(() => links.every(({ isUp }) => isUp))
    },
    waitMs: async (ms: number) => void (await waitMs(ms)),
    [Symbol.asyncDispose]: () => stack.disposeAsync(),
  }
}

async function until(isSo: () => boolean): Promise<void> {
  for (let n = 0; n < 1_000 && !isSo(); n++) await waitMs(10)
  assert.ok(isSo())
}

registerHubContract('valkey', place)

for (const contract of [storeContract, usageStoreContract]) {
  contract('shared, by valkey', async () => {
    const own = await place()
    let runs = 0
    return {
      async use(work) {
        const options = {
          clock: systemClock,
          run: `run${runs++}`,
          onError: (error: unknown) => assert.fail(String(error)),
        }
        await using registers = await SharedRegisters.open({ ...options, hub: await own.link() }, never)
        using store = new SharedStore({ ...options, registers, secret: SECRET })
        work(store)
      },
      [Symbol.asyncDispose]: () => own[Symbol.asyncDispose](),
    }
  })
}

it('shows nothing of a value in the store, and takes nothing that was put there by others', async () => {
  await using own = await place()
  const hub = await own.link()
  const instants = new HybridClock(systemClock, 'run')
  const writes = ['x', 'y'].map((name) => {
    return [name, { stamp: stampOf(0, instants.next()), value: 'very secret', until: undefined }] as const
  })
  await hub.push(writes)
  const kept = await own.valkey.cli('HGET', '{test}:registers:writes', 'x')
  assert.equal(Buffer.from(kept.split(' ').at(-1) ?? '', 'base64').includes('secret'), false)
  assert.equal(kept.includes('secret'), false)
  await own.valkey.cli('HSET', '{test}:registers:writes', 'y', kept)
  assert.deepEqual((await hub.pull(0, 10)).writes, [writes[0]])
  const [stamp = '', ...rest] = kept.split(' ')
  await own.valkey.cli('HSET', '{test}:registers:writes', 'x', [`00000001${stamp.slice(8)}`, ...rest].join(' '))
  await own.valkey.cli('HDEL', '{test}:registers:writes', 'y')
  assert.deepEqual((await hub.pull(0, 10)).writes, [])
})

it('brings replicas together again after the store was frozen, killed, and emptied', async () => {
  await using own = await place()
  await using stack = new AsyncDisposableStack()
  const [a, b] = await Promise.all(
    ['a', 'b'].map(async (run) => {
      const onError = (error: unknown) => assert.fail(String(error))
      const hub = await own.link()
      return stack.use(await SharedRegisters.open({ hub, clock: systemClock, run, onError }, never))
    }),
  )
  assert.ok(a && b)
  a.set('mode', 'sticky')
  await until(() => b.get('mode') === 'sticky')
  own.valkey.freeze()
  a.set('desired/tor01', 'drained')
  b.set('mode', 'random')
  await waitMs(100)
  own.valkey.thaw()
  await until(() => b.get('desired/tor01') === 'drained' && a.get('mode') === 'random')
  await own.valkey.kill()
  a.set('mode', undefined)
  b.set('desired/tor01', 'enabled')
  await own.valkey.restart()
  await until(() => a.get('desired/tor01') === 'enabled' && b.get('mode') === undefined)
  await own.valkey.cli('FLUSHALL')
  a.set('after', 1)
  await until(() => b.get('after') === 1 && a.pending + b.pending === 0)
  const hub = await own.link()
  const onError = (error: unknown) => assert.fail(String(error))
  await using late = await SharedRegisters.open({ hub, clock: systemClock, run: 'c', onError }, never)
  assert.deepEqual([late.get('after'), late.get('desired/tor01'), late.get('mode')], [1, 'enabled', undefined])
})

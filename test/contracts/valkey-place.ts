import assert from 'node:assert/strict'
import { setTimeout as waitMs } from 'node:timers/promises'
import { openStore } from '../../src/cluster/open-store.ts'
import type { StoreLink } from '../../src/cluster/store-link.ts'
import { systemClock } from '../../src/lib/clock.ts'
import type { FakeClock } from '../../src/lib/fake-clock.ts'
import { createLogger } from '../../src/lib/log.ts'
import { systemRandom } from '../../src/lib/random.ts'
import { startValkey } from '../valkey.ts'
import type { LeasesPlace } from './leases-contract.ts'

const never = new AbortController().signal

/** A real server whose scripts go by `clock`: so hours of leases pass in seconds. Everything else takes its real time. */
export async function valkeyPlace(clock: FakeClock): Promise<LeasesPlace> {
  const stack = new AsyncDisposableStack()
  const valkey = stack.use(await startValkey())
  const links: StoreLink[] = []

  async function passTime(): Promise<void> {
    await links[0]?.call('SET', '{test}:leases-time', String(clock.now()))
  }

  /** What each has asked is answered, and what each has said is heard by all. */
  async function settled(): Promise<void> {
    await clock.advance(0)
    for (let round = 0; round < 3; round++) {
      const heard = links.flatMap((from, n) => links.map((to) => heardOnce(to, `{test}:barrier-${n}-${round}`, from)))
      await Promise.all(heard)
      await clock.advance(0)
    }
  }

  return {
    async link() {
      const link = await openStore(
        {
          ...{ url: valkey.url, password: undefined, ca: undefined, prefix: 'test', secret: Buffer.alloc(32, 5) },
          ...{ replica: `gw${links.length}`, version: '1.0.0', waitMs: 0, clock: systemClock, random: systemRandom },
          logger: createLogger('silent'),
        },
        never,
      )
      stack.use(link)
      links.push(link)
      await passTime()
      return {
        get isUp() {
          return link.isUp
        },
        key: link.key.bind(link),
        call: link.call.bind(link),
        subscribe: link.subscribe.bind(link),
        onChange: link.onChange.bind(link),
        run: (script, keys, args) => link.run({ ...script, lua: byOurTime(script.lua) }, keys, args),
      }
    },
    settled,
    async pass(_, ms) {
      await clock.advance(ms)
      await passTime()
    },
    async freeze() {
      valkey.freeze()
      await until(() => links.every(({ isUp }) => !isUp))
    },
    async thaw() {
      valkey.thaw()
      await until(() => links.every(({ isUp }) => isUp))
      await passTime()
    },
    [Symbol.asyncDispose]: () => stack.disposeAsync(),
  }
}

function byOurTime(lua: string): string {
  const told = lua.replace("redis.call('TIME')", "{ 0, redis.call('GET', KEYS[1] .. '-time') * 1000 }")
  assert.notEqual(told, lua)
  return told
}

async function heardOnce(to: StoreLink, channel: string, from: StoreLink): Promise<void> {
  const { promise, resolve } = Promise.withResolvers<void>()
  using _ = to.subscribe(channel, () => resolve())
  for (;;) {
    await from.call('PUBLISH', channel, '')
    // The subscription may have come after the message.
    if (await Promise.race([promise.then(() => true), waitMs(20).then(() => false)])) return
  }
}

async function until(isSo: () => boolean): Promise<void> {
  for (let n = 0; n < 1_000 && !isSo(); n++) await waitMs(10)
  assert.ok(isSo())
}

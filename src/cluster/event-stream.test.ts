import assert from 'node:assert/strict'
import { describe, it } from 'node:test'
import { setTimeout as sleep } from 'node:timers/promises'
import { startValkey, type Valkey } from '../../test/valkey.ts'
import type { RecordedEvent } from '../domain/events.ts'
import { systemClock } from '../lib/clock.ts'
import { silentLogger } from '../lib/log.ts'
import { systemRandom } from '../lib/random.ts'
import { Seal } from '../lib/seal.ts'
import { EventStream } from './event-stream.ts'
import { openStore } from './open-store.ts'
import type { StoreLink } from './store-link.ts'

const secret = Buffer.alloc(32, 7)
const never = new AbortController().signal
const common = { clock: systemClock, logger: silentLogger }

async function linkTo({ url, password }: Valkey, replica: string) {
  const how = { url, password, ca: undefined, prefix: 'test', secret, replica, version: '1.0.0', waitMs: 0 }
  return await openStore({ ...how, ...common, random: systemRandom }, never)
}

function streamOn(link: StoreLink, replica: string, run = replica): EventStream {
  return new EventStream({ link, seal: new Seal(secret, 'events', systemRandom), self: { replica, run }, ...common })
}

function event(n: number): RecordedEvent {
  const text = `tor01 is no. ${n}`
  return { id: n, at: 1_000 + n, severity: 'warn', text, event: { type: 'reboot_ordered', worker: 'planted' } }
}

/** Of the events that it hears, who has them and their texts, in order. */
function heardBy(stream: EventStream): string[] {
  const heard: string[] = []
  stream.onEvent((replica, { text }) => heard.push(`${replica}: ${text}`))
  return heard
}

async function until(isSo: () => boolean): Promise<void> {
  while (!isSo()) await sleep(5)
}

describe('the events of all replicas', { timeout: 60_000 }, () => {
  it('come to each of the others, once and in order, and to who comes later', async () => {
    await using store = await startValkey()
    await using link = await linkTo(store, 'gw1')
    await using other = await linkTo(store, 'gw2')
    await using one = streamOn(link, 'gw1')
    await using two = streamOn(other, 'gw2')
    const [heardByOne, heardByTwo] = [heardBy(one), heardBy(two)]
    for (let n = 1; n <= 500; n++) one.add(event(n))
    two.add(event(1))
    one.add({ ...event(1), replica: 'gw2' })
    await until(() => heardByOne.length === 1 && heardByTwo.length === 500)
    assert.deepEqual(heardByOne, ['gw2: tor01 is no. 1'])
    assert.deepEqual(
      heardByTwo,
      Array.from({ length: 500 }, (_, n) => `gw1: tor01 is no. ${n + 1}`),
    )
    await using again = streamOn(link, 'gw1', 'another run')
    const heardAgain = heardBy(again)
    await until(() => heardAgain.length === 501)
    assert.ok(!(await store.cli('XRANGE', link.key('events'), '-', '+')).includes('planted'))
  })

  it('are kept while the store is away, and told once when it is back', async () => {
    await using store = await startValkey()
    await using link = await linkTo(store, 'gw1')
    await using other = await linkTo(store, 'gw2')
    await using one = streamOn(link, 'gw1')
    await using two = streamOn(other, 'gw2')
    const heard = heardBy(two)
    store.freeze()
    one.add(event(1))
    await until(() => !link.isUp)
    one.add(event(2))
    assert.equal(one.pending, 2)
    // It does what it was asked before it stood still, and then what it is asked anew.
    store.thaw()
    await until(() => heard.length >= 2 && one.pending === 0)
    one.add(event(3))
    await until(() => heard.length >= 3)
    assert.deepEqual(
      heard,
      [1, 2, 3].map((n) => `gw1: tor01 is no. ${n}`),
    )
  })

  it('go on in a store that has lost them, and whatever else is written there is left out', async () => {
    await using store = await startValkey()
    await using link = await linkTo(store, 'gw1')
    await using other = await linkTo(store, 'gw2')
    await using one = streamOn(link, 'gw1')
    await using two = streamOn(other, 'gw2')
    const heard = heardBy(two)
    one.add(event(1))
    await until(() => heard.length === 1)
    await store.cli('DEL', link.key('events'))
    const strange = new Seal(secret, 'events', systemRandom)
      .seal(link.key('events'), '{"replica":3}')
      .toString('base64')
    for (const text of ['nonsense', strange]) await store.cli('XADD', link.key('events'), '1-*', 'e', text)
    await store.cli('PUBLISH', link.key('events-added'), '')
    one.add(event(2))
    await until(() => heard.length === 2)
    assert.deepEqual(
      heard,
      [1, 2].map((n) => `gw1: tor01 is no. ${n}`),
    )
  })
})

import assert from 'node:assert/strict'
import { describe, it } from 'node:test'
import { codeOf } from '../../domain/errors.ts'
import { FakeClock } from '../../lib/fake-clock.ts'
import type { TorControl } from '../../tor/control/client.ts'
import { ControlClosedError } from '../../tor/control/errors.ts'
import { parseMicrodescriptor } from '../../tor/control/microdescriptor.ts'
import type { RouterStatus } from '../../tor/control/router-status.ts'
import { ExitDirectory } from './exit-directory.ts'
import { fingerprintOf } from './test-exits.ts'

const never = new AbortController().signal
const HOUR_MS = 3_600_000

function relay(n: number, flags = 'Exit Fast Running Stable Valid'): RouterStatus {
  return {
    ...{ nickname: `relay${n}`, fingerprint: fingerprintOf(n), address: `203.0.113.${n}`, orPort: 9001 },
    ...{ otherAddresses: [], flags: flags.split(' '), bandwidth: n * 100, exitPorts: undefined },
  }
}

/** A Tor that knows `relays`, all of them in Germany but the last, and counts what it is asked. */
function lab(relays: RouterStatus[]) {
  const clock = new FakeClock()
  const asked = { relays: 0, countries: 0, descriptors: [] as number[] }
  const tor = {
    missing: new Set<string>(),
    hasCountries: true,
    fails: undefined as Error | undefined,
    hangs: false,
    family: '',
  }
  const answer = async <T>(value: T): Promise<T> => {
    if (tor.hangs) return await new Promise<never>(() => {})
    if (tor.fails) throw tor.fails
    return value
  }
  const control: Pick<TorControl, 'relays' | 'microdescriptors' | 'countries'> = {
    relays: async (signal) => {
      asked.relays++
      return await Promise.race([
        answer(relays),
        new Promise<never>((_, reject) => {
          signal.onabort = () => reject(signal.reason)
        }),
      ])
    },
    countries: async (addresses) => {
      asked.countries++
      return await answer(
        tor.hasCountries ? new Map(addresses.slice(0, -1).map((address) => [address, 'de'])) : undefined,
      )
    },
    microdescriptors: async (fingerprints, signal) => {
      asked.descriptors.push(fingerprints.length)
      const known = fingerprints.filter((fingerprint) => !tor.missing.has(fingerprint))
      return await Promise.race([
        answer(new Map(known.map((each) => [each, parseMicrodescriptor(`${tor.family}\np accept 80`)]))),
        new Promise<never>((_, reject) => {
          signal.onabort = () => reject(signal.reason)
        }),
      ])
    },
  }
  return { clock, asked, tor, relays, directory: new ExitDirectory({ worker: 'tor01', control, clock }) }
}

describe('ExitDirectory', () => {
  it('lists the exits that are up and not known to be bad, with the country of each that has one', async () => {
    const { directory } = lab([
      relay(1),
      relay(2, 'Fast Running Valid'),
      relay(3, 'Exit Valid'),
      relay(4, 'Exit Running'),
      relay(5, 'BadExit Exit Running Valid'),
      relay(6),
    ])
    const { relays, knowsCountries } = await directory.exits(never)
    assert.equal(knowsCountries, true)
    assert.deepEqual(relays, [
      {
        ...{ nickname: 'relay1', fingerprint: fingerprintOf(1), address: '203.0.113.1' },
        ...{ bandwidth: 100, country: 'de' },
      },
      { nickname: 'relay6', fingerprint: fingerprintOf(6), address: '203.0.113.6', bandwidth: 600 },
    ])
  })

  it('says when nobody knows where exits are', async () => {
    const { directory, tor } = lab([relay(1)])
    tor.hasCountries = false
    assert.equal((await directory.exits(never)).knowsCountries, false)
  })

  it('asks once for all who want to know at the same time, and not again while the list is fresh', async () => {
    const { directory, asked, clock } = lab([relay(1)])
    await Promise.all([directory.exits(never), directory.exits(never)])
    await clock.advance(HOUR_MS - 1)
    await directory.exits(never)
    assert.equal(asked.relays, 1)
  })

  it('uses the list that it has while a newer one is on its way: after a new consensus, or an hour', async () => {
    const { directory, asked, clock, relays } = lab([relay(1)])
    const first = await directory.exits(never)
    relays.push(relay(2))
    directory.outdate()
    assert.equal(await directory.exits(never), first)
    await clock.advance(0)
    assert.equal((await directory.exits(never)).relays.length, 2)
    await clock.advance(HOUR_MS)
    await directory.exits(never)
    await clock.advance(0)
    assert.equal(asked.relays, 3)
  })

  it('waits for a new list when the old one is of no use any more', async () => {
    const { directory, clock, relays } = lab([relay(1)])
    await directory.exits(never)
    relays.push(relay(2))
    await clock.advance(3 * HOUR_MS)
    assert.equal((await directory.exits(never)).relays.length, 2)
  })

  it('goes on with the old list when Tor does not tell a new one', async () => {
    const { directory, clock, tor } = lab([relay(1)])
    const first = await directory.exits(never)
    tor.fails = new ControlClosedError('gone')
    await clock.advance(HOUR_MS)
    assert.equal(await directory.exits(never), first)
    await clock.advance(0)
    assert.equal(await directory.exits(never), first)
  })

  it('does not wait for ever, and blames the worker', async () => {
    const { directory, clock, tor } = lab([relay(1)])
    tor.hangs = true
    const waiting = assert.rejects(directory.exits(never), (error) => codeOf(error) === 'worker_unreachable')
    await clock.advance(15_000)
    await waiting
    tor.hangs = false
    tor.fails = new ControlClosedError('gone')
    await assert.rejects(directory.exits(never), (error) => codeOf(error) === 'worker_unreachable')
  })

  it('asks for the descriptors that are wanted, each once', async () => {
    const { directory, asked } = lab([relay(1), relay(2), relay(3)])
    const list = await directory.exits(never)
    assert.deepEqual(asked.descriptors, [])
    const [first, second, third] = await Promise.all([
      list.describe(list.relays.slice(0, 2), never),
      list.describe(list.relays, never),
      list.describe(list.relays, never),
    ])
    assert.deepEqual([first?.length, second?.length, third?.length], [2, 3, 3])
    assert.equal(first?.[0]?.descriptor.exitPorts.accepts(80), true)
    assert.deepEqual(asked.descriptors, [2, 1])
  })

  it('lets nobody wait for descriptors longer than one question may take, however many ask', async () => {
    const { directory, tor, clock, asked } = lab([relay(1), relay(2)])
    const list = await directory.exits(never)
    tor.hangs = true
    const fates = Array.from({ length: 5 }, () => list.describe(list.relays, never).catch((error) => codeOf(error)))
    await clock.advance(15_000)
    assert.deepEqual(await Promise.all(fates), Array(5).fill('worker_unreachable'))
    assert.deepEqual(asked.descriptors, [2])
    tor.hangs = false
    assert.equal((await list.describe(list.relays, never)).length, 2)
  })

  it('keeps of a family the exits, once for all of them', async () => {
    const { directory, tor } = lab([relay(1), relay(2), relay(3, 'Fast Running Valid')])
    tor.family = `family ${[1, 2, 3, 4].map((n) => `$${fingerprintOf(n)}`).join(' ')}`
    const list = await directory.exits(never)
    const [one, other] = await list.describe(list.relays, never)
    assert.deepEqual([...(one?.descriptor.family ?? [])], [fingerprintOf(1), fingerprintOf(2)])
    assert.equal(one?.descriptor.family, other?.descriptor.family)
  })

  it('leaves out an exit whose descriptor Tor does not have, and asks for it again after a minute', async () => {
    const { directory, asked, tor, clock } = lab([relay(1), relay(2)])
    tor.missing.add(fingerprintOf(1))
    const list = await directory.exits(never)
    assert.equal((await list.describe(list.relays, never)).length, 1)
    tor.missing.clear()
    assert.equal((await list.describe(list.relays, never)).length, 1)
    await clock.advance(60_000)
    assert.equal((await list.describe(list.relays, never)).length, 2)
    assert.deepEqual(asked.descriptors, [2, 1])
  })
})

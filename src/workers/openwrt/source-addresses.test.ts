import assert from 'node:assert/strict'
import { describe, it } from 'node:test'
import fc from 'fast-check'
import { FakeClock } from '../../lib/fake-clock.ts'
import { systemRandom } from '../../lib/random.ts'
import { SourceAddresses } from './source-addresses.ts'

const HOLD_MS = 660_000
const ADDRESSES = 239

function create() {
  const clock = new FakeClock(0)
  return { clock, addresses: new SourceAddresses({ tunnel: 7, clock, random: systemRandom, holdMs: HOLD_MS }) }
}

describe('source addresses', () => {
  it('are of the tunnel, one for each identity, and stay with it', () => {
    const { addresses } = create()
    const first = addresses.lease('alice')
    const second = addresses.lease('alice')
    const other = addresses.lease('bob')
    assert.match(first?.host ?? '', /^10\.201\.7\.\d+$/)
    assert.equal(second?.host, first?.host)
    assert.notEqual(second?.port, first?.port)
    assert.notEqual(other?.host, first?.host)
  })

  it('run out, and come back only when no circuit can be left of the former identity', async () => {
    const { clock, addresses } = create()
    const leases = Array.from({ length: ADDRESSES }, (_, n) => addresses.lease(`identity ${n}`))
    assert.equal(new Set(leases.map((lease) => lease?.host)).size, ADDRESSES)
    assert.equal(addresses.available, 0)
    assert.equal(addresses.lease('one too many'), undefined)
    leases[5]?.[Symbol.dispose]()
    await clock.advance(HOLD_MS - 1)
    assert.equal(addresses.lease('one too many'), undefined)
    await clock.advance(1)
    assert.equal(addresses.lease('one too many')?.host, leases[5]?.host)
  })

  it('are free again at once when nothing was sent from them', () => {
    const { addresses } = create()
    const used = addresses.lease('alice')
    used?.[Symbol.dispose]()
    for (const who of ['alice', 'bob']) {
      const lease = addresses.lease(who)
      lease?.cancel()
      lease?.[Symbol.dispose]()
    }
    assert.equal(addresses.available, ADDRESSES - 1, 'alice has sent before')
  })

  it('are not taken from an identity whose stream lasts, however long', async () => {
    const { clock, addresses } = create()
    const lasting = addresses.lease('lasting')
    await clock.advance(10 * HOLD_MS)
    const others = Array.from({ length: ADDRESSES }, (_, n) => addresses.lease(`identity ${n}`)?.host)
    assert.ok(!others.includes(lasting?.host))
    assert.equal(others.at(-1), undefined)
  })

  it('never serve two identities within the hold, whatever comes and goes', async () => {
    const step = fc.record({ who: fc.nat(400), waitMs: fc.nat(HOLD_MS / 20), keep: fc.boolean() })
    await fc.assert(
      fc.asyncProperty(fc.array(step, { maxLength: 400 }), async (steps) => {
        const { clock, addresses } = create()
        const lastUse = new Map<string, { who: number; at: number }>()
        for (const { who, waitMs, keep } of steps) {
          await clock.advance(waitMs)
          const lease = addresses.lease(`${who}`)
          if (lease === undefined) continue
          const before = lastUse.get(lease.host)
          if (before !== undefined && before.who !== who) assert.ok(clock.monotonic() - before.at >= HOLD_MS)
          lastUse.set(lease.host, { who, at: keep ? Number.POSITIVE_INFINITY : clock.monotonic() })
          if (!keep) lease[Symbol.dispose]()
        }
      }),
      { numRuns: 50 },
    )
  })
})

import assert from 'node:assert/strict'
import { describe, it } from 'node:test'
import { systemClock } from '../lib/clock.ts'
import { systemRandom } from '../lib/random.ts'
import { KeyRing } from './key-ring.ts'
import { drawKey, formatKey } from './key-text.ts'
import { MemoryKeyStore } from './memory-key-store.ts'

const CALLS = 100_000
/** As many standard errors as chance does not make. */
const MOST_T = 4.5
/** What the memory's caches make, which nobody can tell from outside: a call takes some 1,200 ns. */
const UNSEEN_NS = 25

describe('the time that a wrong key takes', { timeout: 60_000 }, () => {
  const ring = new KeyRing({ store: new MemoryKeyStore(), clock: systemClock, random: systemRandom })
  const keys = Array.from({ length: 20 }, (_, n) => ring.create({ name: `key ${n}`, scopes: ['fetch'] }).key)
  const known = keys[7]?.id ?? ''
  const unknown = drawKey(systemRandom).id
  const keyOf = (id: string) => formatKey({ ...drawKey(systemRandom), id })

  it('is the same for an unknown id and for a wrong secret', () => {
    const t = welch((text) => ring.authenticate(text), keyOf, [unknown, known])
    assert.ok(t < MOST_T, `t = ${t}`)
  })

  it('would be seen if an unknown id took less work', () => {
    const leaks = (text: string) => (text.startsWith(`cbt_${unknown}`) ? undefined : ring.authenticate(text))
    const t = welch(leaks, keyOf, [unknown, known])
    assert.ok(t > MOST_T, `t = ${t}`)
  })
})

/**
 * Welch's t of the two kinds' times, beyond what is not seen: how surely they differ. Both kinds are mixed by chance, so that
 * whatever else the machine does happens to both; the longest hundredth, in which it did, counts for neither.
 */
function welch(call: (text: string) => unknown, keyOf: (id: string) => string, ids: readonly [string, string]): number {
  const kinds = Array.from({ length: CALLS }, () => systemRandom.int(2))
  // Read anew from bytes, as from a socket: nothing is known of these texts yet.
  const texts = kinds.map((kind) => Buffer.from(keyOf(ids[kind] ?? '')).toString('latin1'))
  for (const text of texts.slice(0, 10_000)) call(text)
  const times = texts.map((text) => {
    const startedAt = process.hrtime.bigint()
    call(text)
    return Number(process.hrtime.bigint() - startedAt)
  })
  const longest = times.toSorted((a, b) => a - b)[Math.floor(CALLS * 0.99)] ?? 0
  const [a, b] = [0, 1].map((kind) => {
    const own = times.filter((ns, index) => kinds[index] === kind && ns <= longest)
    const mean = own.reduce((sum, ns) => sum + ns, 0) / own.length
    const variance = own.reduce((sum, ns) => sum + (ns - mean) ** 2, 0) / (own.length - 1)
    return { mean, error: variance / own.length }
  })
  if (a === undefined || b === undefined) return Number.NaN
  return (Math.abs(a.mean - b.mean) - UNSEEN_NS) / Math.sqrt(a.error + b.error)
}

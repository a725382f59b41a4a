import assert from 'node:assert/strict'
import { describe, it } from 'node:test'
import { FakeClock } from './lib/fake-clock.ts'
import { seededRandom } from './lib/random.ts'
import { Pool } from './pool/pool.ts'
import { keepRotating, keepWarm } from './upkeep.ts'

function poolOf(size: number) {
  const clock = new FakeClock(0)
  const warmed: string[] = []
  const members = Array.from({ length: size }, (_, index) => ({
    name: { id: `tor0${index + 1}`, n: index + 1 },
    async warmUp() {
      warmed.push(`tor0${index + 1}`)
    },
  }))
  const pool = new Pool(members, { clock, random: seededRandom(1) })
  for (const { name } of members) pool.setHealth(name.id, 'healthy')
  return { clock, pool, warmed, end: new AbortController() }
}

describe('upkeep', () => {
  it('warms every healthy worker up, and no other', async () => {
    const { clock, pool, warmed, end } = poolOf(3)
    const running = keepWarm(pool, 60_000, clock, end.signal)
    pool.setHealth('tor02', 'dead')
    await clock.advance(60_000)
    assert.deepEqual(warmed, ['tor01', 'tor03'])
    end.abort()
    await running
    assert.equal(clock.pending, 0)
  })

  it('rotates one worker at a time, each once in the interval, and leaves out who is not healthy', async () => {
    const { clock, pool, end } = poolOf(4)
    const rotated: string[] = []
    const newCircuits = (id: string) => {
      rotated.push(`${clock.now() / 1_000}s ${id}`)
      return { acted: Promise.reject(new Error('Tor is busy')) }
    }
    const running = keepRotating(pool, 40_000, newCircuits, clock, end.signal)
    pool.setHealth('tor03', 'suspect')
    await clock.advance(50_000)
    assert.deepEqual(rotated, ['10s tor01', '20s tor02', '40s tor04', '50s tor01'])
    end.abort()
    await running
    assert.equal(clock.pending, 0)
  })
})

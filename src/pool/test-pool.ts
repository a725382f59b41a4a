/** What the tests of the pool share. */
import assert from 'node:assert/strict'
import { CbtorError } from '../domain/errors.ts'
import type { MODES } from '../domain/exchange.ts'
import type { DesiredState, HealthState } from '../domain/worker.ts'
import { FakeClock } from '../lib/fake-clock.ts'
import { seededRandom } from '../lib/random.ts'
import { Pool } from './pool.ts'

export const ANY = { key: 'example.com' }

interface Setup {
  clock?: FakeClock
  /** By number; healthy where nothing is said. */
  health?: HealthState[]
  desired?: Record<string, DesiredState>
  maxLeases?: number
  seed?: number
}

/** A pool of `count` workers tor01, tor02, … */
export function poolOf(
  count: number,
  { clock = new FakeClock(), health = [], desired = {}, seed = 1, ...limits }: Setup = {},
) {
  const members = Array.from({ length: count }, (_, index) => ({ name: { id: `tor0${index + 1}`, n: index + 1 } }))
  const pool = new Pool(members, {
    clock,
    random: seededRandom(seed),
    desired: new Map(Object.entries(desired)),
    ...limits,
  })
  for (const { name } of members) pool.setHealth(name.id, health[name.n - 1] ?? 'healthy')
  return pool
}

/** Takes a lease and gives it back: the worker's id. */
export function take(pool: ReturnType<typeof poolOf>, mode?: (typeof MODES)[number]): string {
  using lease = pool.acquire(mode === undefined ? ANY : { ...ANY, mode })
  return lease.member.name.id
}

export function pinned(pool: ReturnType<typeof poolOf>, workerId: string) {
  return pool.acquire({ ...ANY, workerId })
}

export function throwsCode(
  code: string,
  message: RegExp,
  act: () => unknown,
  ...retryAfter: (number | undefined)[]
): void {
  assert.throws(act, (error: unknown) => {
    assert.ok(error instanceof CbtorError)
    assert.equal(error.code, code)
    assert.match(error.message, message)
    if (retryAfter.length > 0) assert.equal(error.retryAfterMs, retryAfter[0])
    return true
  })
}

export function never(): AbortSignal {
  return new AbortController().signal
}

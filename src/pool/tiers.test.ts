import assert from 'node:assert/strict'
import { it } from 'node:test'
import fc from 'fast-check'
import { CbtorError } from '../domain/errors.ts'
import { poolOf } from './test-pool.ts'

const NONE: ReadonlySet<string> = new Set()
/** Somebody who is not in the pool: with it everybody is looked at. */
const STRANGER = new Set(['nobody'])
const IDS = ['tor01', 'tor02', 'tor03'] as const

it('chooses by what it keeps as it would if it looked at every worker, whatever has become of them', () => {
  const id = fc.constantFrom(...IDS)
  const command = fc.oneof(
    fc.record({
      type: fc.constant('health' as const),
      id,
      to: fc.constantFrom('healthy' as const, 'healthy' as const, 'suspect' as const, 'dead' as const),
    }),
    fc.record({ type: fc.constant('doubt' as const), id, to: fc.boolean() }),
    fc.record({
      type: fc.constant('desire' as const),
      id,
      to: fc.constantFrom('enabled' as const, 'drained' as const),
    }),
    fc.record({ type: fc.constant('take' as const), id }),
    fc.record({ type: fc.constant('stand' as const), id }),
    fc.record({ type: fc.constant('give' as const), id }),
    fc.record({ type: fc.constant('come or go' as const), id }),
  )
  fc.assert(
    fc.property(fc.array(command, { maxLength: 60, size: 'max' }), (commands) => {
      const pool = poolOf(IDS.length, { maxLeases: 2 })
      const held = new Map<string, ReturnType<typeof pool.acquire>[]>()
      for (const each of commands) {
        const has = pool.has(each.id)
        if (each.type === 'come or go') {
          if (has) pool.remove(each.id)
          else pool.add({ name: { id: each.id, n: Number(each.id.slice(3)) } })
        } else if (each.type === 'give') held.get(each.id)?.pop()?.[Symbol.dispose]()
        else if (!has) continue
        else if (each.type === 'health') pool.setHealth(each.id, each.to, { slowStart: false })
        else if (each.type === 'doubt') pool.setDoubt(each.id, each.to)
        else if (each.type === 'desire') pool.setDesired(each.id, each.to)
        else if (each.type === 'stand') held.get(each.id)?.at(-1)?.stands()
        else {
          const lease = unlessRefused(() => pool.acquire({ key: 'a', workerId: each.id }))
          if (lease) held.set(each.id, [...(held.get(each.id) ?? []), lease])
        }
        for (const mode of ['failover', 'sticky', 'least_connections', 'random', 'round_robin'] as const) {
          const choice = (busy: ReadonlySet<string>) =>
            unlessRefused(() => {
              using lease = pool.acquire({ key: 'a', mode }, NONE, busy)
              return lease.member.name.id
            })
          // Who takes turns chooses another one each time: there only whether there is anybody can be compared.
          const isByTurns = mode === 'random' || mode === 'round_robin' || mode === 'least_connections'
          const [kept, looked] = [choice(NONE), choice(STRANGER)]
          if (isByTurns) assert.equal(kept === undefined, looked === undefined)
          else assert.equal(kept, looked)
          if (kept !== undefined) assert.equal(pool.get(kept).desired, 'enabled')
        }
      }
    }),
    { numRuns: 400 },
  )
})

it('asks suspects once those that are healthy are full', () => {
  const pool = poolOf(2, { health: ['healthy', 'suspect'], maxLeases: 1 })
  const taken = [pool.acquire({ key: 'a' }), pool.acquire({ key: 'a' })].map(({ member }) => member.name.id)
  assert.deepEqual(taken, ['tor01', 'tor02'])
})

function unlessRefused<T>(act: () => T): T | undefined {
  try {
    return act()
  } catch (error) {
    if (error instanceof CbtorError) return undefined
    throw error
  }
}

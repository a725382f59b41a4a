import assert from 'node:assert/strict'
import { describe, it } from 'node:test'
import { never, pinned, poolOf, take, throwsCode } from './test-pool.ts'

describe('draining', { timeout: 10_000 }, () => {
  it('grants no new lease, lets the running ones finish, and tells when they have', async () => {
    const pool = poolOf(2)
    const [first, second] = [pinned(pool, 'tor01'), pinned(pool, 'tor01')]
    pool.drain('tor01')
    let isDrained = false
    const drained = pool.drained('tor01', never()).then(() => {
      isDrained = true
    })
    for (let i = 0; i < 10; i++) assert.equal(take(pool), 'tor02')
    first[Symbol.dispose]()
    await turnOfTheLoop()
    assert.equal(isDrained, false)
    second[Symbol.dispose]()
    await drained
    await pool.drained('tor01', never())
    pool.enable('tor01')
    assert.ok([take(pool), take(pool)].includes('tor01'))
  })

  it('refuses to take away the last worker that can take requests, unless forced', () => {
    const pool = poolOf(3, { health: ['healthy', 'dead'], desired: { tor03: 'drained' } })
    throwsCode('conflict', /"tor01": no other could take requests/, () => pool.drain('tor01'))
    assert.equal(pool.get('tor01').desired, 'enabled')
    pool.drain('tor02')
    pool.drain('tor01', { force: true })
    assert.equal(pool.get('tor01').desired, 'drained')
    pool.drain('tor01')
  })

  it('refuses to drain the last enabled worker even while it is dead: healing it would give nothing', () => {
    const pool = poolOf(2, { health: ['dead', 'healthy'], desired: { tor02: 'drained' } })
    throwsCode('conflict', /no other/, () => pool.drain('tor01'))
  })

  it('does not weaken a stop to a drain', () => {
    const pool = poolOf(2, { desired: { tor01: 'stopped' } })
    throwsCode('conflict', /it is stopped/, () => pool.drain('tor01', { force: true }))
  })

  it('stops waiting when the worker is enabled again or the caller gives up', async () => {
    const pool = poolOf(2)
    using _ = pinned(pool, 'tor01')
    await assert.rejects(pool.drained('tor01', never()), { code: 'conflict' })
    pool.drain('tor01')

    const enabled = assert.rejects(pool.drained('tor01', never()), { code: 'conflict' })
    pool.enable('tor01')
    await enabled

    pool.drain('tor01')
    const controller = new AbortController()
    const aborted = assert.rejects(pool.drained('tor01', controller.signal), /enough/)
    controller.abort(new Error('enough'))
    await aborted
  })
})

function turnOfTheLoop(): Promise<void> {
  return new Promise((resolve) => setImmediate(resolve))
}

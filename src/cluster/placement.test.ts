import assert from 'node:assert/strict'
import { describe, it } from 'node:test'
import { type Announcement, changesOf, placement, sharedWorkerId } from './placement.ts'

const at = { host: '10.0.0.12', port: 32212 }
const offers = (all: Record<string, readonly string[]>): ReadonlyMap<string, Announcement> =>
  new Map(Object.entries(all).map(([replica, workers]) => [replica, { at, workers }]))

describe('the name of a worker that is offered', () => {
  it('is that of its replica and its own', () => {
    assert.equal(sharedWorkerId('gw2', 'tor01'), 'gw2-tor01')
  })

  it('is no longer than a worker may have, and still one of its own', () => {
    const names = ['tor-in-the-cellar-01', 'tor-in-the-cellar-02'].map((id) => sharedWorkerId('gateway-paris-10', id))
    for (const name of names) assert.match(name, /^[a-z][a-z0-9-]{0,31}$/)
    assert.equal(new Set(names).size, 2)
    assert.match(names[0] ?? '', /^gateway-paris-10-tor-in-t-[0-9a-f]{6}$/)
  })
})

describe('placement', () => {
  it('is what the others offer, in the same order for all', () => {
    const announced = offers({ gw3: ['gw3-b', 'gw3-a'], gw1: ['gw1-a'], gw2: ['gw2-a'] })
    assert.deepEqual(placement('gw1', ['gw1-a', 'box'], announced), {
      peers: [
        { id: 'gw2-a', replica: 'gw2' },
        { id: 'gw3-a', replica: 'gw3' },
        { id: 'gw3-b', replica: 'gw3' },
      ],
      refused: [],
    })
  })

  it('has none of those that cannot be told apart', () => {
    const announced = offers({ gw: ['gw-a-tor01', 'gw-b'], 'gw-a': ['gw-a-tor01'], gw2: ['box', 'gw2-a', 'gw2-a'] })
    const { peers, refused } = placement('gw1', ['box'], announced)
    assert.deepEqual(
      peers.map(({ id }) => id),
      ['gw-b', 'gw2-a'],
    )
    assert.deepEqual(refused, [
      { id: 'box', replica: 'gw2', reason: 'gw1 has a worker of this id, too' },
      { id: 'gw-a-tor01', replica: 'gw', reason: 'gw and gw-a offer a worker of this id' },
      { id: 'gw-a-tor01', replica: 'gw-a', reason: 'gw and gw-a offer a worker of this id' },
    ])
  })

  it('changes by what comes, what goes, and what has another replica now', () => {
    const [a, b, c] = [
      { id: 'a', replica: 'gw2' },
      { id: 'b', replica: 'gw2' },
      { id: 'c', replica: 'gw2' },
    ] as const
    const moved = { id: 'b', replica: 'gw3' }
    assert.deepEqual(changesOf([a, b], [moved, c, a]), { added: [moved, c], removed: [b] })
    assert.deepEqual(changesOf([a, b], [b, a]), { added: [], removed: [] })
  })
})

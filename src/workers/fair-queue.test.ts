import assert from 'node:assert/strict'
import { describe, it } from 'node:test'
import { FairQueue } from './fair-queue.ts'

describe('FairQueue', () => {
  it('takes owners in turn, and the things of one in order', () => {
    const queue = queueOf('a1 a2 a3 b1 c1 c2')
    assert.deepEqual(drain(queue), ['a1', 'b1', 'c1', 'a2', 'c2', 'a3'])
  })

  it('tells who has a turn before whom, as if each owner ahead went first', () => {
    const queue = queueOf('a1 a2 a3 b1 c1 c2')
    const places = [...queue].map((item) => `${item.name} ${queue.placeOf(item)}`)
    assert.deepEqual(places, ['a1 3', 'a2 5', 'a3 6', 'b1 3', 'c1 3', 'c2 5'])
    assert.equal(queue.placeOf({ owner: 'd', name: 'd1' }), 6)
  })

  it('leaves the others their turns when one goes that had none yet', () => {
    const queue = queueOf('a1 a2 b1')
    const [, second] = [...queue]
    assert.ok(second)
    queue.delete(second)
    queue.delete(second)
    assert.deepEqual([queue.size, queue.countOf('a'), queue.owners, queue.has(second)], [2, 1, 2, false])
    assert.deepEqual(drain(queue), ['a1', 'b1'])
  })
})

function queueOf(names: string) {
  const queue = new FairQueue<{ owner: string; name: string }>()
  for (const name of names.split(' ')) {
    const item = { owner: name.slice(0, 1), name }
    queue.add(item)
    queue.add(item)
  }
  return queue
}

function drain(queue: ReturnType<typeof queueOf>): string[] {
  const names: string[] = []
  for (let item = queue.first(); item !== undefined; item = queue.first()) {
    names.push(item.name)
    queue.delete(item)
  }
  return names
}

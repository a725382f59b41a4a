import assert from 'node:assert/strict'
import { describe, it } from 'node:test'
import { FakeClock } from '../../lib/fake-clock.ts'
import { ALICE } from '../test-jobs.ts'
import { OwnerWatch } from './owner-watch.ts'

function create() {
  const clock = new FakeClock()
  const known = new Set<string>(['alice'])
  const listeners = new Map<string, () => void>()
  const gone: string[] = []
  const removed: string[] = []
  const watch = new OwnerWatch({
    clock,
    callers: {
      find: (id) => (known.has(id) ? ALICE : undefined),
      onGone(id, listener) {
        if (known.has(id)) listeners.set(id, listener)
        else listener()
        return { [Symbol.dispose]: () => void listeners.delete(id) }
      },
    },
    onGone: (owner) => void gone.push(owner),
    remove: async (owner) => void removed.push(owner),
  })
  return { clock, known, listeners, gone, removed, watch }
}

describe('OwnerWatch', () => {
  it('removes at once what belongs to a caller that goes', () => {
    const { known, listeners, gone, removed, watch } = create()
    watch.watch('alice')
    known.delete('alice')
    listeners.get('alice')?.()
    assert.deepEqual([gone, removed], [['alice'], ['alice']])
  })

  it('gives a caller whom it does not know some time to become known', async () => {
    const { clock, known, gone, removed, watch } = create()
    for (const owner of ['bob', 'carol']) watch.watch(owner)
    await clock.advance(30_000)
    known.add('bob')
    await clock.advance(30_000)
    assert.deepEqual([gone, removed], [[], ['carol']])
  })

  it('does nothing once it is disposed', async () => {
    const { clock, removed, watch } = create()
    watch.watch('carol')
    watch[Symbol.dispose]()
    await clock.advance(60_000)
    assert.deepEqual([removed, clock.pending], [[], 0])
  })
})

import assert from 'node:assert/strict'
import { describe, it } from 'node:test'
import { Listeners } from '../lib/listeners.ts'
import { PeerRoster } from './peer-roster.ts'
import type { Announcement } from './placement.ts'

function createRoster({ mayTake = () => true }: { mayTake?: (id: string) => boolean } = {}) {
  const at = { host: '10.0.0.12', port: 32212 }
  const changes = new Listeners<void>((error) => assert.fail(String(error)))
  let announced: ReadonlyMap<string, Announcement> = new Map()
  let own: readonly string[] = ['gw1-a']
  const log: string[] = []
  const leaving = new Map<string, () => void>()
  const roster = new PeerRoster({
    self: 'gw1',
    announcements: {
      get announced() {
        return announced
      },
      onChange: (listener) => changes.add(listener),
    },
    own: () => own,
    take({ id, replica }) {
      if (!mayTake(id)) throw new Error('no room')
      log.push(`take ${id} of ${replica}`)
    },
    letGo({ id, replica }) {
      log.push(`let go of ${id} of ${replica}`)
      return new Promise((resolve) => leaving.set(id, resolve))
    },
    onRefused: (refused) => log.push(`refused: ${refused.map(({ id }) => id).join()}`),
    onError: (error, { id }) => log.push(`${id}: ${(error as Error).message}`),
  })
  const turn = () => new Promise((resolve) => setImmediate(resolve))
  return {
    ...{ roster, log, turn },
    async offer(all: Record<string, readonly string[]>) {
      announced = new Map(Object.entries(all).map(([replica, workers]) => [replica, { at, workers }]))
      changes.notify()
      await turn()
    },
    async configure(ids: readonly string[]) {
      own = ids
      roster.look()
      await turn()
    },
    async left(id: string) {
      leaving.get(id)?.()
      await turn()
    },
  }
}

describe('the roster of peers', () => {
  it('misses no change, at whatever moment of its work that comes', async () => {
    for (let turns = 0; turns < 20; turns++) {
      const { roster, log, turn, offer, configure } = createRoster()
      await offer({ gw2: ['gw2-a'] })
      log.length = 0
      // In the midst of one look that finds nothing new.
      void configure(['gw1-a', 'gw1-b'])
      for (let n = 0; n < turns; n++) await null
      void configure(['gw1-a', 'gw2-a'])
      await turn()
      assert.ok(log.includes('let go of gw2-a of gw2'), `after ${turns} turns`)
      void roster
    }
  })

  it('takes what is offered, and lets go of what is not any more', async () => {
    const { roster, log, offer, left } = createRoster()
    await offer({ gw2: ['gw2-a', 'gw2-b'] })
    await offer({ gw2: ['gw2-a', 'gw2-b'] })
    await offer({ gw2: ['gw2-b'], gw3: ['gw3-a'] })
    assert.deepEqual(log.splice(0), ['take gw2-a of gw2', 'take gw2-b of gw2', 'let go of gw2-a of gw2'])
    await left('gw2-a')
    assert.deepEqual(log.splice(0), ['take gw3-a of gw3'])
    assert.deepEqual(
      roster.peers.map(({ id }) => id),
      ['gw2-b', 'gw3-a'],
    )
    await roster.settled()
  })

  it('takes a worker that is back only when it has let go of the one before', async () => {
    const { log, offer, left } = createRoster()
    await offer({ gw2: ['gw2-a'] })
    await offer({})
    await offer({ gw2: ['gw2-a'] })
    await offer({ gw3: ['gw2-a'] })
    assert.deepEqual(log.splice(0), ['take gw2-a of gw2', 'let go of gw2-a of gw2'])
    await left('gw2-a')
    assert.deepEqual(log.splice(0), ['take gw2-a of gw3'])
  })

  it('has none of those that are ours by name, or become so, and says it once', async () => {
    const { log, offer, configure, left } = createRoster()
    await offer({ gw2: ['gw1-a', 'box'] })
    await offer({ gw2: ['gw1-a', 'box'] })
    assert.deepEqual(log.splice(0), ['refused: gw1-a', 'take box of gw2'])
    await configure(['gw1-a', 'box'])
    await left('box')
    assert.deepEqual(log.splice(0), ['refused: box,gw1-a', 'let go of box of gw2'])
    await configure([])
    assert.deepEqual(log.splice(0), ['refused: ', 'take box of gw2', 'take gw1-a of gw2'])
  })

  it('goes on when one cannot be taken, and tries it again at the next change', async () => {
    let hasRoom = false
    const { log, offer } = createRoster({ mayTake: (id) => hasRoom || id !== 'gw2-a' })
    await offer({ gw2: ['gw2-a', 'gw2-b'] })
    assert.deepEqual(log.splice(0), ['gw2-a: no room', 'take gw2-b of gw2'])
    hasRoom = true
    await offer({ gw2: ['gw2-a', 'gw2-b'] })
    assert.deepEqual(log.splice(0), ['take gw2-a of gw2'])
  })

  it('leaves everything as it is once it is disposed of', async () => {
    const { roster, log, offer } = createRoster()
    await offer({ gw2: ['gw2-a'] })
    await roster[Symbol.asyncDispose]()
    await offer({})
    assert.deepEqual(log, ['take gw2-a of gw2'])
  })
})

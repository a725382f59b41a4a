import assert from 'node:assert/strict'
import { it } from 'node:test'
import { FakeClock } from '../lib/fake-clock.ts'
import { Sessions } from './sessions.ts'
import { createFetchLab } from './test-fetch-lab.ts'
import { own } from './test-lab.ts'
import { sendAll, TestShare } from './test-share.ts'

const ME = { stickyKey: 'me' }

it('is the same visitor through whichever replica, until it is renewed through any', async () => {
  await using stack = new AsyncDisposableStack()
  const shares = TestShare.several(3)
  const labs: Awaited<ReturnType<typeof createFetchLab>>[] = []
  for (const share of shares) {
    const lab = stack.use(
      await createFetchLab(undefined, { sessions: new Sessions({ clock: new FakeClock(), share }) }),
    )
    await lab.serve('a.test:80', (_, response) => response.end('ok'))
    labs.push(lab)
  }
  const [first, second, third] = labs
  assert.ok(first && second && third)
  /** Through each of them: the worker, and as whom. */
  const seen = async () => {
    const all = []
    for (const lab of labs) {
      const { worker, sessionMoved } = await lab.fetch('http://a.test/', ME)
      all.push(`${worker} ${lab.workers.dials.at(-1)?.token}${sessionMoved ? ' moved' : ''}`)
      sendAll(shares)
    }
    return new Set(all)
  }

  const [before, ...others] = await seen()
  assert.ok(before?.startsWith('w1 '))
  assert.deepEqual(others, [])
  assert.deepEqual(
    labs.map(({ fetcher }) => fetcher.connections.idle),
    [1, 1, 1],
  )

  second.fetcher.rotateSession(own('me'))
  sendAll(shares)
  assert.deepEqual(
    labs.map(({ fetcher }) => fetcher.connections.idle),
    [0, 0, 0],
    'nobody goes on by the old circuit',
  )
  assert.deepEqual(
    labs.map(({ workers }) => workers.forgotten.length),
    [1, 1, 1],
  )
  const [renewed, ...more] = await seen()
  assert.ok(renewed?.startsWith('w1 '))
  assert.notEqual(renewed, before)
  assert.deepEqual(more, [])

  // One replica cannot reach the worker: the session moves, for all of them, and says so once.
  third.workers.down.add('w1')
  third.fetcher.dropConnections('w1')
  const moved = await third.fetch('http://a.test/', ME)
  assert.deepEqual([moved.worker, moved.sessionMoved], ['w2', true])
  sendAll(shares)
  const [there, ...none] = await seen()
  assert.equal(there, renewed?.replace('w1', 'w2'))
  assert.deepEqual(none, [])

  first.fetcher.endSession(own('me'))
  sendAll(shares)
  assert.equal(second.fetcher.sessions.find(own('me')), undefined)
})

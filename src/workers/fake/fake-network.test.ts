import assert from 'node:assert/strict'
import { it } from 'node:test'
import { FakeNetwork } from './fake-network.ts'

it('ends with its connections, and makes no more of them', { timeout: 10_000 }, async () => {
  const network = new FakeNetwork()
  const sockets = await network.connect()
  const ended = network[Symbol.asyncDispose]()
  await assert.rejects(network.connect(), /the network of this worker is over/)
  await ended
  assert.ok(sockets.every(({ destroyed }) => destroyed))
})

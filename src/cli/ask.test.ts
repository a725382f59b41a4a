import assert from 'node:assert/strict'
import { it } from 'node:test'
import type { ApiClient } from '../client/client.ts'
import { onAbort } from '../lib/abort.ts'
import { FakeClock } from '../lib/fake-clock.ts'
import { ask } from './ask.ts'
import type { ServiceParts } from './parts.ts'

function partsWith(clock: FakeClock, signal: AbortSignal): ServiceParts {
  const { out, err } = { out: { write: () => true }, err: { write: () => true } }
  const notHere = () => Promise.reject(new Error('There is no such thing in this test'))
  const connect = async () => ({}) as ApiClient
  return { env: {}, out, err, clock, signal, connect, createService: notHere, createTestNetwork: notHere }
}

const never = (_: ApiClient, signal: AbortSignal) =>
  new Promise<never>((_resolve, reject) => onAbort(signal, (reason) => reject(reason)))

it('gives up on a service that does not answer, and says so', async () => {
  const clock = new FakeClock()
  const asked = ask({}, partsWith(clock, new AbortController().signal), never)
  const late = assert.rejects(
    asked,
    /^Error: Cannot go on: the service has not answered within 120 s\. See .*: cbtor doctor$/,
  )
  await clock.advance(120_000)
  await late
  assert.equal(clock.pending, 0)
})

it('ends with the reason of the signal', async () => {
  const interrupt = new AbortController()
  const clock = new FakeClock()
  const asked = ask({}, partsWith(clock, interrupt.signal), never)
  setImmediate(() => interrupt.abort(new Error('Interrupted by SIGINT')))
  await assert.rejects(asked, /Interrupted by SIGINT/)
  assert.equal(clock.pending, 0)
})

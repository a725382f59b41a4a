import assert from 'node:assert/strict'
import { once } from 'node:events'
import { createConnection, createServer } from 'node:net'
import { text } from 'node:stream/consumers'
import { describe, it } from 'node:test'
import { systemClock } from '../../lib/clock.ts'
import { FakeClock } from '../../lib/fake-clock.ts'
import { DelayLine, LatencyForwarder } from './latency-forwarder.ts'

describe('DelayLine', () => {
  it('delays each chunk by itself, not one behind the other', async () => {
    const { clock, line, arrived } = open(20)
    line.write('a')
    await clock.advance(5)
    line.write('b')
    await clock.advance(14)
    assert.deepEqual(arrived, [])
    await clock.advance(1)
    assert.deepEqual(arrived, ['a at 20'])
    await clock.advance(4)
    assert.deepEqual(arrived, ['a at 20'])
    await clock.advance(1)
    assert.deepEqual(arrived, ['a at 20', 'b at 25'])
  })

  it('gives a burst out in order, all at once', async () => {
    const { clock, line, arrived } = open(20)
    for (const letter of 'abcdef') line.write(letter)
    await clock.advance(20)
    assert.deepEqual(
      arrived,
      [...'abcdef'].map((letter) => `${letter} at 20`),
    )
  })

  it('delays the end as well', async () => {
    const { clock, line, arrived } = open(20)
    line.end('last')
    await clock.advance(19)
    assert.equal(line.readableEnded, false)
    await clock.advance(1)
    assert.deepEqual(arrived, ['last at 20'])
    assert.equal(line.readableEnded, true)
  })

  it('makes the sender wait when too much is under way', async () => {
    const { clock, line } = open(20)
    let taken = 0
    for (let mib = 0; mib < 8; mib++) line.write(Buffer.alloc(1024 * 1024), () => taken++)
    await clock.advance(19)
    assert.ok(taken < 8)
    await clock.advance(100)
    assert.equal(taken, 8)
  })

  it('forgets its timer when it is destroyed', async () => {
    const { clock, line } = open(20)
    line.write('a')
    await clock.advance(1)
    assert.equal(clock.pending, 1)
    line.destroy()
    await clock.advance(1)
    assert.equal(clock.pending, 0)
  })
})

it('forwards both ways and passes a half-close on', { timeout: 10_000 }, async () => {
  const target = createServer({ allowHalfOpen: true }, async (socket) => {
    socket.end(`got ${await text(socket)}`)
  })
  target.listen(0, '127.0.0.1')
  await once(target, 'listening')
  const { port: targetPort } = target.address() as { port: number }
  await using forwarder = await LatencyForwarder.listen({
    clock: systemClock,
    delayMs: 1,
    address: '127.0.0.1',
    listenPort: 0,
    targetPort,
  })
  const client = createConnection({ host: '127.0.0.1', port: forwarder.port, allowHalfOpen: true })
  client.end('hello')
  assert.equal(await text(client), 'got hello')
  target.close()
})

function open(delayMs: number) {
  const clock = new FakeClock(0)
  const line = new DelayLine(clock, delayMs)
  const arrived: string[] = []
  line.on('data', (chunk: Buffer) => arrived.push(`${chunk} at ${clock.monotonic()}`))
  return { clock, line, arrived }
}

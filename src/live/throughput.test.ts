import assert from 'node:assert/strict'
import { EventEmitter } from 'node:events'
import { describe, it } from 'node:test'
import { FakeClock } from '../lib/fake-clock.ts'
import { Throughput } from './throughput.ts'

class Stream extends EventEmitter {
  bytesRead = 0
  bytesWritten = 0
  destroyed = false
}

describe('Throughput', () => {
  it('tells what flows while a stream is open, over the last five seconds', async () => {
    const clock = new FakeClock()
    using throughput = new Throughput(clock)
    const stream = new Stream()
    throughput.watch('tor01', stream)
    for (let second = 0; second < 12; second++) {
      stream.bytesRead += 1_000
      stream.bytesWritten += 10
      await clock.advance(1_000)
    }
    const { read, written } = throughput.perSecond('tor01')
    assert.ok(read >= 1_000 && read <= 1_200, String(read))
    assert.ok(written >= 10 && written <= 12, String(written))
    await clock.advance(6_000)
    assert.deepEqual(throughput.perSecond('tor01'), { read: 0, written: 0 })
    assert.deepEqual(throughput.total('tor01'), { read: 12_000, written: 120 })
  })

  it('has the last bytes of a stream that closes, and reads on no timer then', async () => {
    const clock = new FakeClock()
    using throughput = new Throughput(clock)
    const stream = new Stream()
    throughput.watch('tor01', stream)
    stream.bytesRead = 500
    stream.emit('close')
    assert.deepEqual(throughput.total('tor01'), { read: 500, written: 0 })
    await clock.advance(1_000)
    assert.equal(clock.pending, 0)
    throughput.forget('tor01')
    assert.deepEqual(throughput.total('tor01'), { read: 0, written: 0 })
  })
})

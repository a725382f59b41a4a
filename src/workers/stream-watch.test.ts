import assert from 'node:assert/strict'
import { describe, it } from 'node:test'
import { FakeClock } from '../lib/fake-clock.ts'
import { parseEvent } from '../tor/control/events/event.ts'
import { StreamWatch } from './stream-watch.ts'

const GUARD = `$${'A'.repeat(40)}~relay1`
const EXIT = `$${'B'.repeat(40)}~exit1`
const OTHER_EXIT = `$${'C'.repeat(40)}~exit2`
const target = { host: 'www.cbtor.test', port: 80 }
const WAIT_MS = 250

function watchWith(...lines: string[]) {
  const clock = new FakeClock()
  const watch = new StreamWatch(clock, async (fingerprint) =>
    fingerprint.startsWith('B') ? { address: '203.0.113.31', country: 'de' } : undefined,
  )
  const tell = (...events: string[]) => {
    for (const text of events) watch.handle(parseEvent([{ code: 650, text, data: undefined }]))
  }
  tell(...lines)
  return { clock, watch, tell }
}

const built = (id: number, exit: string, more = 'PURPOSE=GENERAL') => `CIRC ${id} BUILT ${GUARD},${exit} ${more}`
const stream = (id: number, status: string, circuit: number, user: string, more = '') =>
  `STREAM ${id} ${status} ${circuit} www.cbtor.test:80 ${more} SOCKS_USERNAME="${user}" SOCKS_PASSWORD="x"`

describe('StreamWatch', () => {
  it("names the last relay of the stream's circuit, with its address", async () => {
    const { watch, tell } = watchWith(built(7, EXIT))
    using expected = watch.expect({ user: 'alice', target })
    tell(stream(1, 'NEW', 0, 'alice'), stream(1, 'SENTCONNECT', 7, 'alice'), stream(1, 'SUCCEEDED', 7, 'alice'))
    assert.deepEqual(await expected.exit(WAIT_MS), {
      nickname: 'exit1',
      fingerprint: 'B'.repeat(40),
      address: '203.0.113.31',
      country: 'de',
    })
  })

  it('names all relays of the circuit, guard first, of one for an onion service as well', async () => {
    const { watch, tell } = watchWith(built(7, EXIT), built(8, OTHER_EXIT, 'PURPOSE=HS_CLIENT_REND'))
    using expected = watch.expect({ user: 'alice', target })
    tell(stream(1, 'NEW', 0, 'alice'), stream(1, 'SUCCEEDED', 8, 'alice'))
    const circuit = await expected.circuit(WAIT_MS)
    assert.ok(circuit)
    assert.equal(await watch.exitOf(circuit, WAIT_MS), undefined)
    assert.deepEqual(await watch.pathOf(circuit, WAIT_MS), [
      { nickname: 'relay1', fingerprint: 'A'.repeat(40) },
      { nickname: 'exit2', fingerprint: 'C'.repeat(40) },
    ])
    const clearnet = watch.circuitOf('7')
    assert.ok(clearnet)
    assert.equal((await watch.pathOf(clearnet, WAIT_MS)).at(-1)?.country, 'de')
  })

  it('waits for an event that comes after the SOCKS reply', async () => {
    const { watch, tell } = watchWith(built(7, EXIT))
    using expected = watch.expect({ user: 'alice', target })
    const exit = expected.exit(WAIT_MS)
    tell(stream(1, 'NEW', 0, 'alice'), stream(1, 'SUCCEEDED', 7, 'alice'))
    assert.equal((await exit)?.nickname, 'exit1')
  })

  it('tells of each stream of one user and target that Tor has taken it, not of the one before', async () => {
    const { watch, tell } = watchWith(built(7, EXIT))
    using first = watch.expect({ user: 'alice', target })
    tell(stream(1, 'NEW', 0, 'alice'), stream(1, 'SUCCEEDED', 7, 'alice'))
    await first.taken
    using second = watch.expect({ user: 'alice', target })
    let isTaken = false
    void second.taken.then(() => {
      isTaken = true
    })
    await new Promise((resolve) => setImmediate(resolve))
    assert.equal(isTaken, false)
    tell(stream(2, 'NEW', 0, 'alice'))
    await second.taken
  })

  it('tells the streams of two users apart', async () => {
    const { watch, tell } = watchWith(built(7, EXIT), built(8, OTHER_EXIT))
    using alice = watch.expect({ user: 'alice', target })
    using bob = watch.expect({ user: 'bob', target })
    tell(stream(1, 'NEW', 0, 'alice'), stream(2, 'NEW', 0, 'bob'))
    tell(stream(2, 'SUCCEEDED', 8, 'bob'), stream(1, 'SUCCEEDED', 7, 'alice'))
    assert.equal((await alice.exit(WAIT_MS))?.nickname, 'exit1')
    assert.equal((await bob.exit(WAIT_MS))?.nickname, 'exit2')
  })

  it('knows the stream again when later events name the address instead of the name', async () => {
    const { watch, tell } = watchWith(built(7, EXIT))
    using expected = watch.expect({ user: 'alice', target })
    tell(
      stream(1, 'NEW', 0, 'alice'),
      'STREAM 1 REMAP 7 198.51.100.80:80 SOURCE=EXIT',
      'STREAM 1 SUCCEEDED 7 198.51.100.80:80',
    )
    assert.equal((await expected.exit(WAIT_MS))?.nickname, 'exit1')
  })

  it('knows no exit of a circuit to an onion service', async () => {
    const { watch, tell } = watchWith(built(7, EXIT, 'PURPOSE=HS_CLIENT_REND'))
    using expected = watch.expect({ user: 'alice', target })
    tell(stream(1, 'NEW', 0, 'alice'), stream(1, 'SUCCEEDED', 7, 'alice'))
    assert.equal(await expected.exit(WAIT_MS), undefined)
  })

  it('tells why a stream failed', async () => {
    const { watch, tell } = watchWith(built(7, EXIT))
    using expected = watch.expect({ user: 'alice', target })
    tell(stream(1, 'NEW', 0, 'alice'), stream(1, 'FAILED', 7, 'alice', 'REASON=END REMOTE_REASON=CONNECTREFUSED'))
    assert.deepEqual(await expected.failure(WAIT_MS), {
      ...{ reason: 'END', remoteReason: 'CONNECTREFUSED' },
      circuitId: '7',
    })
  })

  it('gives up all that one user wants of one target, and nothing else', async () => {
    const { watch, tell } = watchWith(built(7, EXIT))
    using first = watch.expect({ user: 'alice', target })
    using second = watch.expect({ user: 'alice', target })
    using other = watch.expect({ user: 'bob', target })
    tell(stream(1, 'NEW', 0, 'alice'), stream(2, 'NEW', 0, 'alice'), stream(3, 'NEW', 0, 'bob'))
    watch.stop('2', new Error('a storm'))
    assert.deepEqual(
      [first, second, other].map(({ stopped }) => stopped.reason?.message),
      ['a storm', 'a storm', undefined],
    )
    using again = watch.expect({ user: 'alice', target })
    tell(stream(1, 'FAILED', 7, 'alice'), stream(4, 'NEW', 0, 'alice'), stream(4, 'SUCCEEDED', 7, 'alice'))
    assert.equal(again.stopped.aborted, false)
    assert.equal((await again.exit(WAIT_MS))?.nickname, 'exit1')
  })

  it('does not wait longer than it was told to', async () => {
    const { clock, watch } = watchWith()
    using expected = watch.expect({ user: 'alice', target })
    const [exit, failure] = [expected.exit(WAIT_MS), expected.failure(WAIT_MS)]
    await clock.advance(WAIT_MS)
    assert.deepEqual([await exit, await failure], [undefined, undefined])
    assert.equal(clock.pending, 0)
  })

  it('names the exit without its address when Tor is slow to tell that', async () => {
    const clock = new FakeClock()
    const watch = new StreamWatch(clock, () => new Promise(() => {}))
    for (const text of [built(7, EXIT)]) watch.handle(parseEvent([{ code: 650, text, data: undefined }]))
    using expected = watch.expect({ user: 'alice', target })
    for (const text of [stream(1, 'NEW', 0, 'alice'), stream(1, 'SUCCEEDED', 7, 'alice')])
      watch.handle(parseEvent([{ code: 650, text, data: undefined }]))
    const exit = expected.exit(WAIT_MS)
    await clock.advance(WAIT_MS)
    assert.deepEqual(await exit, { nickname: 'exit1', fingerprint: 'B'.repeat(40) })
  })

  describe('over the TransPort', () => {
    const from = { host: '10.201.1.16', port: 20_001 }
    const trans = (id: number, status: string, circuit: number, more = '') =>
      `STREAM ${id} ${status} ${circuit} 10.128.0.9:80 ${more} PURPOSE=USER CLIENT_PROTOCOL=TRANS`
    const isNew = (id: number, port: number) => trans(id, 'NEW', 0, `SOURCE_ADDR=10.201.1.16:${port}`)

    it('tells a stream by where it comes from, and takes the address that the exit connected to for success', async () => {
      const { watch, tell } = watchWith(built(7, EXIT), built(8, OTHER_EXIT))
      using expected = watch.expect({ from })
      tell(isNew(2, 20_002), isNew(1, 20_001))
      await expected.taken
      tell(trans(1, 'REMAP', 0, 'SOURCE=CACHE'), trans(2, 'REMAP', 8, 'SOURCE=EXIT'), trans(1, 'SENTCONNECT', 7))
      tell(trans(1, 'REMAP', 7, 'SOURCE=EXIT'))
      const outcome = await expected.settled
      assert.ok('circuit' in outcome && outcome.circuit?.id === '7')
    })

    it('gives the reason of a stream that fails, after whatever Tor has tried', async () => {
      const { watch, tell } = watchWith(built(7, EXIT))
      using expected = watch.expect({ from })
      tell(isNew(1, 20_001), trans(1, 'DETACHED', 7, 'REASON=END REMOTE_REASON=RESOLVEFAILED'))
      tell(trans(1, 'CLOSED', 7, 'REASON=END REMOTE_REASON=RESOLVEFAILED'))
      assert.deepEqual(await expected.settled, {
        failure: { reason: 'END', remoteReason: 'RESOLVEFAILED', circuitId: '7' },
      })
    })
  })
})

import assert from 'node:assert/strict'
import { EventEmitter } from 'node:events'
import { describe, it } from 'node:test'
import { ANYBODY, type Caller, type KeyLimits } from '../domain/caller.ts'
import { CbtorError } from '../domain/errors.ts'
import type { Clock } from '../lib/clock.ts'
import { FakeClock } from '../lib/fake-clock.ts'
import { Admission, type AdmissionOptions, NO_LIMITS } from './admission.ts'
import { MemoryUsage } from './memory-usage.ts'

/** An hour before midnight. */
const ELEVEN_AT_NIGHT = Date.UTC(2026, 10, 26, 23)
const HOUR_MS = 3_600_000

describe('rate', () => {
  it('lets the burst in at once and then as many as come by per second, and tells when', async () => {
    const { clock, admission, refusalOf } = lab()
    const key = keyWith({ rate: 2, burst: 3 })
    for (let n = 0; n < 3; n++) admission.admit(key)[Symbol.dispose]()
    const refusal = refusalOf(key)
    assert.equal(refusal.code, 'rate_limited')
    assert.equal(refusal.retryAfterMs, 500)
    await clock.advance(499)
    assert.equal(refusalOf(key).retryAfterMs, 1)
    await clock.advance(1)
    admission.admit(key)[Symbol.dispose]()
    assert.equal(refusalOf(key).code, 'rate_limited')
  })

  it('tells the truth to everybody who comes back when told, for an hour', async () => {
    const { clock, admission, refusalOf } = lab()
    const key = keyWith({ rate: 3, burst: 1 })
    for (let n = 0; n < 3 * 3_600; n++) {
      admission.admit(key)[Symbol.dispose]()
      await clock.advance(refusalOf(key).retryAfterMs ?? Number.NaN)
    }
  })

  it('counts a key by itself, and one that says nothing by the defaults', () => {
    const { admission, refusalOf } = lab({ defaults: { ...NO_LIMITS, rate: 1, burst: 1 } })
    admission.admit(keyWith({}, 'a'))
    admission.admit(keyWith({}, 'b'))
    admission.admit(ANYBODY)
    assert.equal(refusalOf(keyWith({}, 'a')).code, 'rate_limited')
    assert.equal(refusalOf(undefined).code, 'rate_limited', 'who comes without a key is anybody')
  })

  it('can be off', () => {
    const { admission } = lab()
    for (let n = 0; n < 10_000; n++) admission.admit(keyWith({}))
  })
})

describe('concurrent', () => {
  it('refuses one more than may be under way, and takes one as soon as one ends', () => {
    const { admission, refusalOf } = lab()
    const key = keyWith({ concurrent: 2 })
    const first = admission.admit(key)
    admission.admit(key)
    const refusal = refusalOf(key)
    assert.equal(refusal.code, 'concurrency_limited')
    assert.ok((refusal.retryAfterMs ?? 0) > 0)
    first[Symbol.dispose]()
    first[Symbol.dispose]()
    admission.admit(key)
    assert.equal(refusalOf(key).code, 'concurrency_limited', 'who ends twice frees one place')
  })

  it('does not count tunnels that stand', () => {
    const { admission, refusalOf } = lab()
    const key = keyWith({ concurrent: 1 })
    const tunnel = admission.admit(key)
    tunnel.stands()
    const other = admission.admit(key)
    assert.equal(refusalOf(key).code, 'concurrency_limited')
    tunnel[Symbol.dispose]()
    assert.equal(refusalOf(key).code, 'concurrency_limited', 'it was not under way any more')
    other[Symbol.dispose]()
    admission.admit(key)
  })

  it('leaves room for the tunnels of others', () => {
    const { admission, refusalOf } = lab()
    const key = keyWith({ concurrent: 1 }, 'a')
    const tunnels = Array.from({ length: 4_096 }, () => {
      const admitted = admission.admit(key)
      admitted.stands()
      return admitted
    })
    assert.equal(refusalOf(key).code, 'concurrency_limited')
    admission.admit(keyWith({}, 'b'))
    tunnels[0]?.[Symbol.dispose]()
    admission.admit(key)
  })

  it('does not charge the rate for what it refuses', () => {
    const { admission, refusalOf } = lab()
    const key = keyWith({ concurrent: 1, rate: 1, burst: 2 })
    const first = admission.admit(key)
    for (let n = 0; n < 10; n++) assert.equal(refusalOf(key).code, 'concurrency_limited')
    first[Symbol.dispose]()
    admission.admit(key)
  })
})

describe('bytes per day', () => {
  it('counts what flows through sockets, and refuses a key that has used up its bytes until midnight UTC', async () => {
    const { clock, admission, refusalOf } = lab()
    const key = keyWith({ bytesPerDay: 1_000 })
    const socket = new FakeSocket()
    admission.watch(key.id, socket)
    socket.flows(600, 300)
    await clock.advance(1_000)
    assert.equal(admission.bytesToday(key.id), 900)
    admission.admit(key)[Symbol.dispose]()
    socket.flows(0, 100)
    socket.close()
    const refusal = refusalOf(key)
    assert.equal(refusal.code, 'quota_exceeded')
    assert.equal(refusal.retryAfterMs, HOUR_MS - 1_000)
    await clock.advance(HOUR_MS - 1_000)
    admission.admit(key)[Symbol.dispose]()
    assert.equal(admission.bytesToday(key.id), 0)
  })

  it('ends what goes on of a key when its bytes are used up, and of no other', async () => {
    const { clock, admission } = lab()
    const tunnel = admission.admit(keyWith({ bytesPerDay: 1_000 }, 'a'))
    const other = admission.admit(keyWith({ bytesPerDay: 1_000 }, 'b'))
    tunnel.stands()
    const socket = new FakeSocket()
    admission.watch('a', socket)
    socket.flows(1_000, 0)
    await clock.advance(1_000)
    assert.equal(tunnel.signal.reason.code, 'quota_exceeded')
    assert.equal(other.signal.aborted, false)
    const caller = new AbortController()
    using third = admission.admit(keyWith({}, 'b'), caller.signal)
    caller.abort('the client left')
    assert.equal(third.signal.reason, 'the client left')
  })

  it('ends each when its own limit is reached', async () => {
    const { clock, admission } = lab()
    const admitted = [3_000, 1_000, 2_000].map((bytesPerDay) => admission.admit(keyWith({ bytesPerDay }, 'a')))
    const socket = new FakeSocket()
    admission.watch('a', socket)
    const ended = []
    for (let n = 0; n < 4; n++) {
      ended.push(admitted.map(({ signal }) => Number(signal.aborted)).join(''))
      socket.flows(1_000, 0)
      await clock.advance(1_000)
    }
    assert.deepEqual(ended, ['000', '010', '011', '111'])
  })

  it('goes on after a restart, though not to the byte after a crash', async () => {
    const usage = new MemoryUsage()
    const key = keyWith({ bytesPerDay: 1_000 })
    const before = lab({ usage })
    const socket = new FakeSocket()
    before.admission.watch(key.id, socket)
    socket.flows(999, 0)
    await before.clock.advance(11_000)
    socket.flows(500, 0)
    await before.clock.advance(1_000)
    const crashed = lab({ usage })
    assert.equal(crashed.admission.bytesToday(key.id), 999)
    before.admission[Symbol.dispose]()
    const restarted = lab({ usage })
    assert.equal(restarted.refusalOf(key).code, 'quota_exceeded')
    assert.equal(restarted.admission.bytesToday(key.id), 1_499)
  })

  it('forgets nothing when the wall clock is set back', async () => {
    const clock = new FakeClock(ELEVEN_AT_NIGHT)
    let backMs = 0
    const jumping: Clock = {
      now: () => clock.now() - backMs,
      monotonic: () => clock.monotonic(),
      sleep: (ms, signal) => clock.sleep(ms, signal),
      timer: (ms, callback) => clock.timer(ms, callback),
    }
    const { admission } = lab({ clock: jumping })
    const socket = new FakeSocket()
    admission.watch('a', socket)
    socket.flows(10, 0)
    socket.close()
    backMs = 48 * HOUR_MS
    assert.equal(admission.bytesToday('a'), 10)
  })

  it('has nothing waiting when no socket is open', async () => {
    const { clock, admission } = lab()
    const socket = new FakeSocket()
    admission.watch('a', socket)
    socket.close()
    await clock.advance(1_000)
    assert.equal(clock.pending, 0)
  })
})

it('forgets keys that nobody uses any more, and none that is in use or has to wait', async () => {
  const { clock, admission, refusalOf } = lab({ defaults: { ...NO_LIMITS, rate: 1, burst: 1 } })
  admission.admit(keyWith({ concurrent: 1 }, 'in use'))
  for (let n = 0; n < 100_000; n++) {
    if (n % 1_000 === 0) await clock.advance(1_000)
    admission.admit(keyWith({}, `k${n}`))[Symbol.dispose]()
  }
  assert.ok(admission.size <= 4_000, `${admission.size} keys`)
  assert.equal(refusalOf(keyWith({ concurrent: 1 }, 'in use')).code, 'concurrency_limited')
  assert.equal(refusalOf(keyWith({}, 'k99999')).code, 'rate_limited')
})

it('tells of each refusal, with the key and the code', () => {
  const told: string[] = []
  const { refusalOf } = lab({ onRefused: (code, key) => told.push(`${key} ${code}`) })
  refusalOf(keyWith({ concurrent: 0 }, 'a'))
  refusalOf(keyWith({ bytesPerDay: 0 }, 'b'))
  assert.deepEqual(told, ['a concurrency_limited', 'b quota_exceeded'])
})

function lab(options: Partial<AdmissionOptions> = {}) {
  const clock = new FakeClock(ELEVEN_AT_NIGHT)
  const admission = new Admission({ clock, defaults: NO_LIMITS, ...options })
  const refusalOf = (caller: Caller | undefined): CbtorError => {
    try {
      admission.admit(caller)
    } catch (error) {
      if (error instanceof CbtorError) return error
      throw error
    }
    assert.fail('it was let in')
  }
  return { clock, admission, refusalOf }
}

function keyWith(limits: KeyLimits, id = 'key'): Caller {
  return { ...ANYBODY, id, limits }
}

class FakeSocket extends EventEmitter {
  bytesRead = 0
  bytesWritten = 0
  destroyed = false

  flows(read: number, written: number): void {
    this.bytesRead += read
    this.bytesWritten += written
  }

  close(): void {
    this.destroyed = true
    this.emit('close')
  }
}

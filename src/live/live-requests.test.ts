import assert from 'node:assert/strict'
import { describe, it } from 'node:test'
import type { BegunRequest } from '../domain/request-watch.ts'
import { FakeClock } from '../lib/fake-clock.ts'
import { LiveRequests } from './live-requests.ts'

const ASKED: BegunRequest = {
  ...{ kind: 'fetch', door: 'fetch', mode: undefined, key: 'key1', isOnion: false, parent: undefined },
  ...{ host: 'host.example', port: 443 },
}
const END = { outcome: 'ok', worker: 'tor01', attempts: [], status: 200, ms: 40 } as const

function createLive() {
  const clock = new FakeClock(1_000_000)
  return { clock, live: new LiveRequests(clock) }
}

describe('LiveRequests', () => {
  it('has a request from its begin to its end, with the worker that it is tried on', async () => {
    const { live, clock } = createLive()
    const first = live.begun(ASKED)
    await clock.advance(5)
    const second = live.begun({ ...ASKED, kind: 'tunnel', isOnion: true })
    assert.deepEqual(
      live.list(10).map(({ id, kind, isOnion, worker, startedAt }) => [id, kind, isOnion, worker, startedAt]),
      [
        [1, 'fetch', false, undefined, 1_000_000],
        [2, 'tunnel', true, undefined, 1_000_005],
      ],
    )
    first.triedOn?.('tor01')
    first.triedOn?.('tor02')
    assert.equal(live.list(1)[0]?.worker, 'tor02')
    first.ended(END)
    assert.deepEqual([live.total, live.list(10)[0]?.id], [1, 2])
    second.ended({ ...END, outcome: 'client_gone' })
    assert.equal(live.total, 0)
  })

  it('counts a request once: when it is answered, or has failed', () => {
    const { live } = createLive()
    const answered = live.begun(ASKED)
    answered.answered?.({ worker: 'tor01', attempts: [] }, 30)
    answered.ended({ ...END, outcome: 'connection_lost' })
    live.begun(ASKED).ended({ ...END, outcome: 'no_worker', worker: undefined })
    live.begun({ ...ASKED, kind: 'resolve' }).ended(END)
    const { requests, failures } = live.recent.lastMinute()
    assert.deepEqual([requests, failures], [3, 1])
  })

  it('does not count what was wrong with a request, against a policy or a limit, nor a client that left', () => {
    const { live } = createLive()
    for (const outcome of ['url_invalid', 'target_forbidden', 'rate_limited', 'client_gone'] as const)
      live.begun(ASKED).ended({ ...END, outcome })
    assert.deepEqual([live.recent.lastMinute().requests, live.total], [0, 0])
  })

  it('counts tunnels that stand', () => {
    const { live } = createLive()
    const tunnel = live.begun({ ...ASKED, kind: 'tunnel' })
    const failed = live.begun({ ...ASKED, kind: 'tunnel' })
    tunnel.answered?.({ worker: 'tor01', attempts: [] }, 30)
    failed.ended({ ...END, outcome: 'tor_timeout' })
    assert.equal(live.tunnels, 1)
    tunnel.ended(END)
    tunnel.ended(END)
    assert.deepEqual([live.tunnels, live.total, live.recent.lastMinute().requests], [0, 0, 2])
  })

  it('shows no more than it is asked for, the oldest', () => {
    const { live } = createLive()
    for (let count = 0; count < 150; count++) live.begun(ASKED)
    assert.deepEqual([live.list(100).length, live.list(100).at(-1)?.id, live.total], [100, 100, 150])
  })
})

import assert from 'node:assert/strict'
import { describe, it } from 'node:test'
import { FakeClock } from '../lib/fake-clock.ts'
import { SystemdNotifier } from './notifier.ts'

const SOCKET = '/run/systemd/notify'

function createPlace(env: Record<string, string | undefined>) {
  const clock = new FakeClock()
  let heldMs = 0
  const told: string[] = []
  const lost: unknown[] = []
  const place = {
    ...{ clock, told, lost },
    /** What is due by then comes so much too late. */
    hold(ms: number): void {
      heldMs += ms
    },
    fault: undefined as Error | undefined,
    notifier: new SystemdNotifier({
      env,
      clock: {
        now: () => clock.now(),
        monotonic: () => clock.monotonic() + heldMs,
        sleep: (ms, signal) => clock.sleep(ms, signal),
        timer: (ms, callback) => clock.timer(ms, callback),
      },
      send: async (assignments) => {
        if (place.fault) throw place.fault
        told.push(assignments.join(' '))
      },
      onLost: (error) => lost.push(error),
    }),
  }
  return place
}

describe('SystemdNotifier', () => {
  it('tells nothing where systemd did not start us', async () => {
    const { notifier, told, clock } = createPlace({ WATCHDOG_USEC: '30000000' })
    await notifier.ready('up')
    await notifier.stopping(0)
    assert.deepEqual([told, clock.pending], [[], 0])
  })

  it('tells when it is ready, reads its configuration and stops, and for how long it may take', async () => {
    const { notifier, told, clock } = createPlace({ NOTIFY_SOCKET: SOCKET })
    await notifier.ready('The API answers\nat http://127.0.0.1:32211')
    await notifier.reloading()
    await notifier.ready('again')
    await notifier.stopping(10_000)
    assert.deepEqual(told, [
      'READY=1 STATUS=The API answers at http://127.0.0.1:32211',
      'RELOADING=1 STATUS=Reading the configuration anew',
      'READY=1 STATUS=again',
      'STOPPING=1 EXTEND_TIMEOUT_USEC=30000000 STATUS=Finishing what is under way',
    ])
    assert.equal(clock.pending, 0, 'no sign of life, where none is asked for')
  })

  it('gives three signs of life in the time that systemd waits for one, from when it is ready', async () => {
    const { notifier, told, clock } = createPlace({ NOTIFY_SOCKET: SOCKET, WATCHDOG_USEC: '30000000' })
    await clock.advance(60_000)
    assert.deepEqual(told, [])
    await notifier.ready('up')
    await notifier.ready('up again')
    told.length = 0
    await clock.advance(30_000)
    assert.deepEqual(told, Array(3).fill('WATCHDOG=1'))
    notifier[Symbol.dispose]()
    assert.equal(clock.pending, 0)
  })

  it('gives none that another process is asked for', async () => {
    const { notifier, clock } = createPlace({ NOTIFY_SOCKET: SOCKET, WATCHDOG_USEC: '30000000', WATCHDOG_PID: '1' })
    await notifier.ready('up')
    assert.equal(clock.pending, 0)
  })

  it('gives none after a time in which the loop was held up for 5 s, and one after the next', async () => {
    for (const [heldMs, signs] of [
      [4_900, 1],
      [5_100, 0],
    ] as const) {
      const { notifier, told, clock, hold } = createPlace({ NOTIFY_SOCKET: SOCKET, WATCHDOG_USEC: '30000000' })
      await notifier.ready('up')
      told.length = 0
      await clock.advance(2_500)
      hold(heldMs)
      await clock.advance(7_500)
      assert.equal(told.length, signs, `held up for ${heldMs} ms`)
      await clock.advance(10_000)
      assert.equal(told.length, signs + 1)
    }
  })

  it('says once that messages get lost, and goes on trying', async () => {
    const place = createPlace({ NOTIFY_SOCKET: SOCKET, WATCHDOG_USEC: '30000000' })
    const { notifier, told, lost, clock } = place
    place.fault = new Error('there is no program "systemd-notify"')
    await notifier.ready('up')
    await clock.advance(20_000)
    assert.deepEqual([told.length, lost.length], [0, 1])
    place.fault = undefined
    await clock.advance(10_000)
    place.fault = new Error('again')
    await clock.advance(10_000)
    assert.deepEqual([told, lost.length], [['WATCHDOG=1'], 2])
  })
})

import assert from 'node:assert/strict'
import { describe, it } from 'node:test'
import { FakeClock } from '../../lib/fake-clock.ts'
import { climb, type RecoveryAttempt, type RecoveryStep } from '../recovery.ts'
import { boxLadder } from './box-ladder.ts'
import type { LadderWorker } from './ladder-worker.ts'
import { localLadder } from './local-ladder.ts'

const never = new AbortController().signal
const FIRST = { number: 1, isHung: false }

describe('localLadder()', { timeout: 10_000 }, () => {
  it('does not restart a Tor that runs and answers, at the first attempt', async () => {
    assert.deepEqual(await climbed(localLadder, worker(), FIRST), [
      'host-reachable',
      'socks-answers',
      'restart-tor skipped',
      'verify-circuit',
      'ok',
    ])
  })

  it('restarts one that is gone, does not answer, was found to hang, or was not mended by the first attempt', async () => {
    for (const [broken, attempt] of [
      [{ reachHost: refuse }, FIRST],
      [{ greetSocks: refuse }, FIRST],
      [{}, { number: 1, isHung: true }],
      [{}, { number: 2, isHung: false }],
    ] as const) {
      const steps = await climbed(localLadder, worker(broken), attempt)
      assert.ok(steps.includes('restart-tor'), steps.join())
      assert.equal(steps.at(-1), 'ok')
    }
  })

  it('goes on when SOCKS never answers, and restarts', async () => {
    const clock = new FakeClock(0)
    const climbing = climb(localLadder(worker({ greetSocks: () => new Promise(() => {}) }), FIRST), clock, never)
    await clock.advance(1_000)
    const { ok, steps } = await climbing
    assert.ok(ok)
    assert.deepEqual(
      steps.map(({ name, ok, error }) => [name, ok, error]),
      [
        ['host-reachable', true, undefined],
        ['socks-answers', false, 'not done within 1000 ms'],
        ['restart-tor', true, undefined],
        ['verify-circuit', true, undefined],
      ],
    )
  })

  it('has failed when no circuit works', async () => {
    const steps = await climbed(localLadder, worker({ verifyCircuit: refuse }), FIRST)
    assert.deepEqual(steps.slice(-2), ['verify-circuit failed', 'failed'])
  })
})

describe('boxLadder()', { timeout: 10_000 }, () => {
  it('has the steps of the original, in its order', async () => {
    const reconnected: string[] = []
    const box = worker({ greetSocks: refuse, reconnectTunnel: async () => void reconnected.push('wg0') })
    assert.deepEqual(await climbed(boxLadder, box, FIRST), [
      'host-reachable',
      'node-status skipped',
      'socks-answers failed',
      'restart-tor',
      'reconnect-tunnel',
      'verify-circuit',
      'ok',
    ])
    assert.deepEqual(reconnected, ['wg0'])
  })

  it('restarts a Tor that answers only when the attempt before found nothing wrong but its circuits', async () => {
    for (const [failedAt, restarts] of [
      [undefined, false],
      ['host-reachable', false],
      ['reconnect-tunnel', false],
      ['verify-circuit', true],
    ] as const) {
      const steps = await climbed(boxLadder, worker(), { number: 2, isHung: true, failedAt })
      assert.equal(steps.includes('restart-tor'), restarts, failedAt)
    }
  })

  it('goes on when what the box says of itself cannot be read', async () => {
    const steps = await climbed(boxLadder, worker({ readNode: refuse }), FIRST)
    assert.deepEqual(steps.slice(0, 2), ['host-reachable', 'node-status failed'])
    assert.equal(steps.at(-1), 'ok')
  })

  it('ends where the box cannot be reached', async () => {
    assert.deepEqual(await climbed(boxLadder, worker({ reachHost: refuse }), FIRST), [
      'host-reachable failed',
      'failed',
    ])
  })

  it('skips the tunnel where there is none', async () => {
    assert.ok((await climbed(boxLadder, worker(), FIRST)).includes('reconnect-tunnel skipped'))
  })
})

function worker(changes: Partial<LadderWorker> = {}): LadderWorker {
  const pass = async () => {}
  return { reachHost: pass, greetSocks: pass, restartTor: pass, verifyCircuit: pass, ...changes }
}

type Attempt = Pick<RecoveryAttempt, 'number' | 'isHung' | 'failedAt'>

function refuse(): Promise<never> {
  return Promise.reject(new Error('refused'))
}

/** The steps as they were told of while climbing, and how it ended. */
async function climbed(
  ladder: (worker: LadderWorker, attempt: Attempt) => readonly RecoveryStep[],
  worker: LadderWorker,
  attempt: Attempt,
): Promise<string[]> {
  const told: string[] = []
  const { ok } = await climb(ladder(worker, attempt), new FakeClock(0), never, ({ name, ok, skipped }) => {
    told.push(`${name}${skipped ? ' skipped' : ok ? '' : ' failed'}`)
  })
  return [...told, ok ? 'ok' : 'failed']
}

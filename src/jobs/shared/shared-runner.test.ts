import assert from 'node:assert/strict'
import { it } from 'node:test'
import { StoreUnavailable } from '../../cluster/store-link.ts'
import type { Caller } from '../../domain/caller.ts'
import type { FetchAnswer } from '../../domain/exchange.ts'
import { FakeClock } from '../../lib/fake-clock.ts'
import { seededRandom } from '../../lib/random.ts'
import type { Ending } from './job-ledger.ts'
import { SharedRunner, type SharedRunnerOptions } from './shared-runner.ts'

const UNIT = { id: 'job_1-0', owner: 'k1' }
const CALLER: Caller = { id: 'k1', scopes: new Set(), limits: {}, targets: {} }

function createRunner(method: string) {
  const clock = new FakeClock()
  const answered = Promise.withResolvers<FetchAnswer>()
  const begun: string[] = []
  const ended: Ending['type'][] = []
  const world = { isDown: false }
  const ask = () => {
    if (world.isDown) throw new StoreUnavailable('it is away')
  }
  const ledger = {
    async begin(_slot: unknown, turn: string) {
      ask()
      begun.push(turn)
      const request = { url: 'http://a.test/', method, headers: [], maxBytes: 1_000 }
      const phases = {
        descriptor: { delaysMs: [], maxRetries: 0 },
        circuit: { delaysMs: [], maxRetries: 0 },
        http: { delaysMs: [], maxRetries: 0 },
      }
      return { type: 'go', n: 0, request, retry: { phases, statuses: [] }, failures: {}, deadlineAt: 1e15 }
    },
    async end(...[, , , , ending]: readonly [unknown, unknown, unknown, unknown, Ending]) {
      ask()
      ended.push(ending.type)
      return { type: 'over' }
    },
    beat: async () => [],
    async leave() {},
  } as unknown as SharedRunnerOptions['ledger']
  let fetches = 0
  const runner = new SharedRunner({
    ...{ clock, ledger, random: seededRandom(1), callerOf: () => CALLER },
    fetch() {
      fetches++
      return answered.promise
    },
    ...{ onEnded() {}, onKept() {}, onRefusing() {}, onBug: (error) => assert.fail(String(error)) },
  })
  return {
    ...{ clock, runner, world, begun, ended },
    answer: () => answered.resolve({ status: 200, headers: [], body: Buffer.from('ok') } as unknown as FetchAnswer),
    get fetches() {
      return fetches
    },
  }
}

for (const method of ['GET', 'POST'])
  it(`does not take over its own turn whose ${method} is over and is yet to be written down`, async () => {
    const lab = createRunner(method)
    const turn = lab.runner.turn(UNIT)
    await lab.clock.advance(10)
    lab.world.isDown = true
    lab.answer()
    await lab.clock.advance(20_000)
    // Its lock has run out meanwhile, and BullMQ is back sooner than the ledger's way to the store.
    const again = lab.runner.turn(UNIT)
    await lab.clock.advance(10)
    lab.world.isDown = false
    await lab.clock.advance(1_000)
    assert.deepEqual(await turn, { type: 'over' })
    assert.equal((await again).type, 'sleep')
    assert.deepEqual([lab.begun.length, lab.ended, lab.fetches], [1, ['done'], 1])
  })

it('does not begin a turn twice that the store has not heard of yet', async () => {
  const lab = createRunner('POST')
  lab.world.isDown = true
  const turn = lab.runner.turn(UNIT)
  await lab.clock.advance(20_000)
  const again = lab.runner.turn(UNIT)
  await lab.clock.advance(10)
  lab.world.isDown = false
  lab.answer()
  await lab.clock.advance(1_000)
  assert.deepEqual(await turn, { type: 'over' })
  assert.equal((await again).type, 'sleep')
  assert.deepEqual([lab.begun.length, lab.ended, lab.fetches], [1, ['done'], 1])
})

import assert from 'node:assert/strict'
import { describe, it } from 'node:test'
import { SharedRun } from './shared-run.ts'

/** Work that the test ends by hand, and that needs a moment to clean up when aborted. */
function workshop() {
  const runs: { signal: AbortSignal; finish: (value: string) => void; cleanedUp: () => void }[] = []
  const shared = new SharedRun<string>(async (signal) => {
    const result = Promise.withResolvers<string>()
    const cleaned = Promise.withResolvers<void>()
    signal.addEventListener('abort', () => result.reject(signal.reason))
    runs.push({ signal, finish: result.resolve, cleanedUp: cleaned.resolve })
    try {
      return await result.promise
    } catch (error) {
      await cleaned.promise
      throw error
    }
  })
  return { shared, runs }
}

describe('SharedRun', { timeout: 5_000 }, () => {
  it('does the work once for all who ask meanwhile, and again for those who ask later', async () => {
    const { shared, runs } = workshop()
    const answers = [shared.join(never()), shared.join(never())]
    assert.equal(shared.isRunning, true)
    runs[0]?.finish('one')
    assert.deepEqual(await Promise.all(answers), ['one', 'one'])
    assert.equal(shared.isRunning, false)
    const later = shared.join(never())
    runs[1]?.finish('two')
    assert.equal(await later, 'two')
  })

  it('goes on when one of two callers leaves', async () => {
    const { shared, runs } = workshop()
    const controller = new AbortController()
    const leaving = shared.join(controller.signal)
    const staying = shared.join(never())
    controller.abort(new Error('bored'))
    await assert.rejects(leaving, /bored/)
    assert.equal(runs[0]?.signal.aborted, false)
    runs[0]?.finish('one')
    assert.equal(await staying, 'one')
  })

  it('is aborted when the last caller leaves, who hears of it only when all is cleaned up', async () => {
    const { shared, runs } = workshop()
    const controller = new AbortController()
    let isLeft = false
    const leaving = shared.join(controller.signal).finally(() => {
      isLeft = true
    })
    controller.abort(new Error('bored'))
    await new Promise((resolve) => setImmediate(resolve))
    assert.equal(isLeft, false)
    runs[0]?.cleanedUp()
    await assert.rejects(leaving, /bored/)
  })

  it('begins anew only when a run that was given up has gone', async () => {
    const { shared, runs } = workshop()
    const first = shared.join(never())
    const cancelled = shared.cancel(new Error('stopped'))
    const second = shared.join(never())
    assert.equal(runs.length, 1)
    runs[0]?.cleanedUp()
    await assert.rejects(first, /stopped/)
    await cancelled
    while (runs.length < 2) await new Promise((resolve) => setImmediate(resolve))
    runs[1]?.finish('two')
    assert.equal(await second, 'two')
  })

  it('does nothing for a caller whose signal is aborted already', async () => {
    const { shared, runs } = workshop()
    await assert.rejects(shared.join(AbortSignal.abort(new Error('late'))), /late/)
    assert.equal(runs.length, 0)
  })
})

function never(): AbortSignal {
  return new AbortController().signal
}

import assert from 'node:assert/strict'
import { describe, it } from 'node:test'
import { StoreError } from '../store/store-error.ts'
import { EXIT } from './exit-with.ts'
import { explainFailure } from './failure.ts'

describe('explainFailure()', () => {
  it('tells what failed first, when something failed after it on the way out', async () => {
    const failure = await explainFailure(await failTwice(), undefined)
    assert.deepEqual(failure, { exitCode: EXIT.failed, text: 'The port is taken' })
  })

  it('has an exit code for the shared store, and says how to wait for one that may come', async () => {
    const away = await explainFailure(new StoreError('unreachable', 'Cannot reach it'), undefined)
    assert.equal(away.exitCode, 6)
    assert.match(away.text, /^Cannot reach it\. .*--wait-for-store/)
    const waitedFor = new StoreError('unreachable', 'Cannot reach it', { isWaitedFor: true })
    assert.deepEqual(await explainFailure(waitedFor, undefined), { exitCode: 6, text: 'Cannot reach it' })
    const refused = await explainFailure(new StoreError('refused', 'Cannot use it'), undefined)
    assert.deepEqual(refused, { exitCode: 6, text: 'Cannot use it' })
  })
})

async function failTwice(): Promise<unknown> {
  try {
    using _ = {
      [Symbol.dispose]() {
        throw new Error('The directory cannot be removed')
      },
    }
    throw new Error('The port is taken')
  } catch (error) {
    return error
  }
}

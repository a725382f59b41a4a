import assert from 'node:assert/strict'
import { describe, it } from 'node:test'
import { EXIT } from './exit-with.ts'
import { explainFailure } from './failure.ts'

describe('explainFailure()', () => {
  it('tells what failed first, when something failed after it on the way out', async () => {
    const failure = await explainFailure(await failTwice(), undefined)
    assert.deepEqual(failure, { exitCode: EXIT.failed, text: 'The port is taken' })
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

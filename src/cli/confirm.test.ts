import assert from 'node:assert/strict'
import { PassThrough } from 'node:stream'
import { describe, it } from 'node:test'
import { confirm } from './confirm.ts'

describe('confirm()', { timeout: 10_000 }, () => {
  it('is yes when the answer is, in any case, and no otherwise', async () => {
    for (const [typed, expected] of [
      ['yes\n', true],
      ['Y\n', true],
      ['no\nyes\n', false],
      ['n\n', false],
      ['', false],
    ] as const) {
      assert.equal((await ask(typed)).answer, expected, JSON.stringify(typed))
    }
  })

  it('asks again until it is told one of the two', async () => {
    const { answer, shown } = await ask('\nsure\nyes\n')
    assert.equal(answer, true)
    assert.equal(shown, 'Is that the box? [yes/no] Please answer yes or no: Please answer yes or no: ')
  })

  it('ends with the reason of its signal', async () => {
    const interrupt = new AbortController()
    const asked = confirm('Well?', { input: new PassThrough(), output: new PassThrough(), signal: interrupt.signal })
    interrupt.abort(new Error('Interrupted by SIGINT'))
    await assert.rejects(asked, /Interrupted by SIGINT/)
  })
})

/** Of a user who types that and then ends the input. */
async function ask(typed: string): Promise<{ answer: boolean; shown: string }> {
  const input = new PassThrough()
  const output = new PassThrough({ encoding: 'utf8' })
  input.end(typed)
  const answer = await confirm('Is that the box?', { input, output, signal: new AbortController().signal })
  return { answer, shown: output.read() ?? '' }
}

import assert from 'node:assert/strict'
import { describe, it } from 'node:test'
import { Turns } from './turns.ts'

describe('Turns', () => {
  it('lets those of one key go one after the other, also after a failure or an abort, and others at once', async (t) => {
    const turns = new Turns<number>()
    const log: string[] = []
    const first = Promise.withResolvers<void>()
    const work =
      (name: string, until: Promise<void> = Promise.resolve()) =>
      async () => {
        log.push(`${name} begins`)
        await until
        log.push(`${name} ends`)
      }
    const one = turns.take(1, work('one', first.promise), t.signal)
    const abort = new AbortController()
    const two = turns.take(1, work('two'), abort.signal)
    const three = turns.take(1, work('three', Promise.reject(new Error('broken'))), t.signal)
    const four = turns.take(1, work('four'), t.signal)
    await turns.take(2, work('other'), t.signal)
    abort.abort(new Error('changed my mind'))
    await assert.rejects(two, /changed my mind/)
    assert.deepEqual(log, ['one begins', 'other begins', 'other ends'])
    first.resolve()
    await Promise.all([one, assert.rejects(three, /broken/), four])
    assert.deepEqual(log.slice(3), ['one ends', 'three begins', 'four begins', 'four ends'])
  })
})

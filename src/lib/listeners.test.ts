import assert from 'node:assert/strict'
import { describe, it } from 'node:test'
import { Listeners } from './listeners.ts'

describe('Listeners', () => {
  it('tells all in the order in which they were added, until they are disposed', () => {
    const heard: string[] = []
    const listeners = new Listeners<number>((error) => assert.fail(String(error)))
    const first = listeners.add((value) => heard.push(`first ${value}`))
    listeners.add((value) => heard.push(`second ${value}`))
    listeners.notify(1)
    first[Symbol.dispose]()
    listeners.notify(2)
    assert.deepEqual(heard, ['first 1', 'second 1', 'second 2'])
  })

  it('goes on after a listener that throws, and reports the error', () => {
    const heard: unknown[] = []
    const listeners = new Listeners<number>((error) => heard.push(error))
    const fault = new Error('mine')
    listeners.add(() => {
      throw fault
    })
    listeners.add((value) => heard.push(value))
    listeners.notify(1)
    assert.deepEqual(heard, [fault, 1])
  })

  it('does not call one that an earlier one disposes, nor one that an earlier one adds', () => {
    const heard: string[] = []
    const listeners = new Listeners<number>((error) => assert.fail(String(error)))
    listeners.add(() => {
      second[Symbol.dispose]()
      listeners.add(() => heard.push('late'))
    })
    const second = listeners.add(() => heard.push('second'))
    listeners.notify(1)
    assert.deepEqual(heard, [])
  })
})

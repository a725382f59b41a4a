import assert from 'node:assert/strict'
import { it } from 'node:test'
import { Turns } from './turns.ts'

const never = new AbortController().signal

it('gives one turn at a time, in the order of asking', async () => {
  const turns = new Turns()
  const order: number[] = []
  let running = 0
  const work = async (n: number) => {
    using _ = await turns.take(never)
    assert.equal(++running, 1)
    await new Promise((resolve) => setImmediate(resolve))
    order.push(n)
    running--
  }
  await Promise.all([1, 2, 3, 4].map(work))
  assert.deepEqual(order, [1, 2, 3, 4])
})

it('passes over one who gave up waiting', async () => {
  const turns = new Turns()
  const first = await turns.take(never)
  const controller = new AbortController()
  const given = turns.take(controller.signal)
  const last = turns.take(never)
  controller.abort(new Error('no more'))
  await assert.rejects(given, /no more/)
  first[Symbol.dispose]()
  first[Symbol.dispose]()
  using _ = await last
  assert.equal(turns.waiting, 0)
})

it('closed, it rejects who waits and who comes later', async () => {
  const turns = new Turns()
  using _ = await turns.take(never)
  const waiting = turns.take(never)
  turns.close(new Error('over'))
  await assert.rejects(waiting, /over/)
  await assert.rejects(turns.take(never), /over/)
})

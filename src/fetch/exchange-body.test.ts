import assert from 'node:assert/strict'
import { describe, it } from 'node:test'
import { ExchangeBody } from './exchange-body.ts'

describe('ExchangeBody', () => {
  it('hands out what came before its reader and what comes after, in order, and its end', async () => {
    const { body } = createBody()
    body.push(Buffer.from('a'))
    body.push(Buffer.from('b'))
    const read = all(body)
    await turn()
    body.push(Buffer.from('c'))
    body.complete()
    assert.equal(await read, 'abc')
    assert.deepEqual(await body.next(), { done: true, value: undefined })
  })

  it('has the target wait while 64 KiB wait for the reader', async () => {
    const { body, done } = createBody()
    body.push(Buffer.alloc(40_000))
    assert.deepEqual(done, [])
    body.push(Buffer.alloc(40_000))
    assert.deepEqual(done, ['pause'])
    await body.next()
    await body.next()
    assert.deepEqual(done, ['pause', 'resume'])
  })

  it('fails its reader at once, without what waits, and once', async () => {
    const { body, done } = createBody()
    body.push(Buffer.from('a'))
    const heard: string[] = []
    body.onFailure(({ message }) => heard.push(message))
    body.fail(new Error('gone'))
    body.fail(new Error('again'))
    body.push(Buffer.from('b'))
    await assert.rejects(body.next(), { message: 'gone' })
    body.onFailure(({ message }) => heard.push(message))
    assert.deepEqual([heard, done], [['gone', 'gone'], []])

    const waiting = createBody().body
    const reading = waiting.next()
    waiting.fail(new Error('gone'))
    await assert.rejects(reading, { message: 'gone' })
  })

  it('ends its connection when the rest is not wanted, and only then', async () => {
    const { body, done } = createBody()
    body.push(Buffer.from('a'))
    for await (const _ of body) break
    await assert.rejects(body.next())
    assert.deepEqual(done, ['abort'])

    const whole = createBody()
    whole.body.push(Buffer.from('a'))
    whole.body.complete()
    whole.body.destroy()
    assert.equal(await all(whole.body), 'a')
    assert.deepEqual(whole.done, [])
  })
})

function createBody() {
  const done: string[] = []
  const tell = (what: string) => () => void done.push(what)
  return { done, body: new ExchangeBody({ pause: tell('pause'), resume: tell('resume'), abort: tell('abort') }) }
}

async function all(body: ExchangeBody): Promise<string> {
  let text = ''
  for await (const chunk of body) text += chunk.toString()
  return text
}

const turn = () => new Promise((resolve) => setImmediate(resolve))

import assert from 'node:assert/strict'
import { describe, it } from 'node:test'
import { ControlReplyError } from '../errors.ts'
import type { CommandSender, Reply } from '../reply.ts'
import { getKnown } from './get-known.ts'

const never = new AbortController().signal

/** A Tor that knows `values` and remembers how many keys it was asked for at a time. */
function torThatKnows(values: Readonly<Record<string, string>>): CommandSender & { readonly asked: number[] } {
  const asked: number[] = []
  return {
    asked,
    async send(line) {
      const keys = line.split(' ').slice(1)
      asked.push(keys.length)
      const unknown = keys.filter((key) => !(key in values))
      const lines =
        unknown.length > 0
          ? unknown.map((key) => ({ code: 552, text: `Unrecognized key "${key}"`, data: undefined }))
          : keys.map((key) => ({ code: 250, text: `${key}=${values[key]}`, data: undefined }))
      return { lines } satisfies Reply
    },
  }
}

async function allKnown(...args: Parameters<typeof getKnown>): Promise<ReadonlyMap<string, string>> {
  const known = new Map<string, string>()
  for await (const some of getKnown(...args)) for (const [key, value] of some) known.set(key, value)
  return known
}

describe('getKnown()', () => {
  it('asks for many keys some at a time', async () => {
    const keys = Array.from({ length: 150 }, (_, n) => `md/id/${n}`)
    const tor = torThatKnows(Object.fromEntries(keys.map((key, n) => [key, `value ${n}`])))
    const known = await allKnown(tor, keys, never)
    assert.equal(known.size, 150)
    assert.equal(known.get('md/id/149'), 'value 149')
    assert.deepEqual(tor.asked, [64, 64, 22])
  })

  it('leaves out what Tor does not know, and asks little more for that', async () => {
    const keys = Array.from({ length: 64 }, (_, n) => `md/id/${n}`)
    const tor = torThatKnows(Object.fromEntries(keys.filter((key) => key !== 'md/id/17').map((key) => [key, 'x'])))
    const known = await allKnown(tor, keys, never)
    assert.equal(known.size, 63)
    assert.equal(known.has('md/id/17'), false)
    assert.equal(tor.asked.length, 13)
    assert.equal((await allKnown(torThatKnows({}), ['a', 'b', 'c'], never)).size, 0)
  })

  it('asks for nothing when there are no keys', async () => {
    const tor = torThatKnows({})
    assert.equal((await allKnown(tor, [], never)).size, 0)
    assert.deepEqual(tor.asked, [])
  })

  it('rejects what is no ignorance', async () => {
    const broken: CommandSender = {
      send: async () => ({ lines: [{ code: 551, text: 'GeoIP data not loaded', data: undefined }] }),
    }
    await assert.rejects(allKnown(broken, ['ip-to-country/1.2.3.4'], never), ControlReplyError)
  })
})

import assert from 'node:assert/strict'
import { it } from 'node:test'
import fc from 'fast-check'
import { readServerSentEvents, type ServerSentEvent } from './server-sent-events.ts'

it('reads the same messages wherever the bytes are cut', async () => {
  const text =
    'retry: 2000\nid: 1\n\n: heartbeat\nid: 2\n\nid: 3\nevent: a\ndata: {"text":"é: 🧅"}\n\ndata: 1\n\nid: 4\nda'
  const bytes = Buffer.from(text)
  await fc.assert(
    fc.asyncProperty(fc.array(fc.nat(bytes.length)), async (cuts) => {
      const places = [0, ...cuts.sort((a, b) => a - b), bytes.length]
      async function* chunks() {
        for (const [index, place] of places.entries()) yield bytes.subarray(place, places[index + 1] ?? bytes.length)
      }
      const messages: ServerSentEvent[] = []
      for await (const message of readServerSentEvents(chunks())) messages.push(message)
      assert.deepEqual(messages, [
        { event: 'a', data: '{"text":"é: 🧅"}' },
        { event: 'message', data: '1' },
      ])
    }),
  )
})

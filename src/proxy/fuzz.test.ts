import assert from 'node:assert/strict'
import { describe, it } from 'node:test'
import type { Random } from '../lib/random.ts'
import { seededRandom } from '../lib/random.ts'
import { failure, untilAborted } from './fake-backend.ts'
import { type Client, startPort, turn } from './test-lab.ts'

const CASES = 3_000
const AT_ONCE = 60

const HTTP = [
  'CONNECT example.com:443 HTTP/1.1\r\nHost: example.com:443\r\nProxy-Authorization: Basic a2V5LWE6eA==\r\n\r\n\x16\x03\x01\x00\x05hello',
  'GET http://example.com/a HTTP/1.1\r\nHost: example.com\r\nConnection: keep-alive, x-a\r\nX-A: b\r\n\r\n',
  'POST http://example.com/ HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n4;x=y\r\nabcd\r\n0\r\nT: r\r\n\r\n',
  'POST http://example.com/ HTTP/1.1\r\nHost: a\r\nContent-Length: 5\r\nExpect: 100-continue\r\n\r\nabcde',
  'GET http://a.example/ HTTP/1.0\r\n\r\nGET http://a.example/ HTTP/1.0\r\n\r\n',
]
const SOCKS = [
  '\x05\x01\x00\x05\x01\x00\x03\x0bexample.com\x01\xbb\x16\x03\x01\x00\x05hello',
  '\x05\x02\x00\x02\x01\x05key-a\x01x\x05\x01\x00\x01\x01\x02\x03\x04\x00\x50GET / HTTP/1.1\r\n\r\n',
  '\x05\x01\x02\x01\x0akey-b-ttl-9\x02xy\x05\xf0\x00\x03\x04a.be\x00\x00',
  '\x05\x01\x00\x05\x01\x00\x04\x20\x01\x0d\xb8\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x01\x00\x50',
]
const SOCKS_ANSWERS = ['\x05\x00', '\x05\x02', '\x05\xff', '\x00\x5b']

describe('handshakes that are mutated, cut off, split and slow', { timeout: 60_000 }, () => {
  const cases = [
    ['http', HTTP, ['HTTP/1.1 ']],
    ['socks', SOCKS, SOCKS_ANSWERS],
    ['any', [...HTTP, ...SOCKS], ['HTTP/1.1 ', ...SOCKS_ANSWERS]],
  ] as const
  for (const [protocol, seeds, answers] of cases) {
    it(`get a fixed answer or a close on the port for ${protocol}, and leave nothing behind`, async () => {
      await using port = await startPort(protocol)
      const random = seededRandom(protocol.length)
      const { backend, clock, listener } = port
      backend.onTarget = (socket) => void socket.end('from the target')
      const readies = [async () => {}, untilAborted, failure('connection_refused'), failure('target_forbidden')]

      for (let done = 0; done < CASES; done += AT_ONCE) {
        backend.ready = readies[random.int(readies.length)] ?? untilAborted
        const clients: Client[] = []
        await Promise.all(
          Array.from({ length: AT_ONCE }, async () => {
            const client = await port.dial()
            for (const piece of split(mutated(seeds[random.int(seeds.length)] ?? '', random), random)) {
              client.send(piece)
              if (random.int(2) === 0) await turn()
            }
            const leave = (['end', 'destroy', 'resetAndDestroy'] as const)[random.int(4)]
            if (leave) client.socket[leave]()
            await turn()
            clients.push(client)
          }),
        )
        // All that is slow is late by now, and all that lingers after that.
        for (let count = 0; count < 20 && listener.connections + backend.open > 0; count++) await clock.advance(400_000)
        for (const { text } of clients)
          assert.ok(text === '' || answers.some((answer) => text.startsWith(answer)), text)
        assert.deepEqual([listener.connections, clock.pending, backend.open], [0, 0, 0])
      }
      assert.deepEqual(
        port.logger.lines.filter(({ level }) => level !== 'debug'),
        [],
      )
      assert.ok(backend.calls.length > CASES / 20)
    })
  }
})

function mutated(text: string, random: Random): string {
  let bytes = text
  for (let count = random.int(4); count > 0; count--) {
    const at = random.int(bytes.length + 1)
    const byte = String.fromCharCode(random.int(256))
    switch (random.int(5)) {
      case 0:
        bytes = bytes.slice(0, at) + byte + bytes.slice(at + 1)
        break
      case 1:
        bytes = bytes.slice(0, at) + byte.repeat(1 + random.int(300)) + bytes.slice(at)
        break
      case 2:
        bytes = bytes.slice(0, at) + bytes.slice(at + 1 + random.int(8))
        break
      case 3:
        bytes = bytes.slice(0, at)
        break
      case 4:
        bytes += bytes.slice(at)
        break
    }
  }
  return bytes
}

function split(text: string, random: Random): string[] {
  if (text.length < 80 && random.int(4) === 0) return [...text]
  const pieces: string[] = []
  for (let at = 0; at < text.length; ) {
    const length = 1 + random.int(text.length)
    pieces.push(text.slice(at, at + length))
    at += length
  }
  return pieces
}

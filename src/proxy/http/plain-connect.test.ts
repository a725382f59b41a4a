import assert from 'node:assert/strict'
import { createServer, type IncomingMessage } from 'node:http'
import type { Socket } from 'node:net'
import { duplexPair } from 'node:stream'
import { describe, it } from 'node:test'
import { seededRandom } from '../../lib/random.ts'
import { turn } from '../test-lab.ts'
import { headerList } from './headers.ts'
import { plainConnect } from './plain-connect.ts'

const HEAD =
  'CONNECT example.com:443 HTTP/1.1\r\nHost: example.com:443\r\nUser-Agent:  curl/8 (x) \r\nProxy-Authorization: Basic a2V5LWE6eA==\r\nX:  \r\n\r\n'
/** What stands in a head, and what should not. */
const BYTES = [...'\r\n\t :;-_.%[]@/?#09AZaz\x00\x7f\x80\xff']

describe('plainConnect()', () => {
  it('reads what most clients send, and leaves alone what they send behind it', () => {
    const read = plainConnect(Buffer.from(`${HEAD}\x16\x03`, 'latin1'))
    assert.deepEqual(read && { ...read, rest: read.rest.toString('latin1') }, {
      authority: 'example.com:443',
      headers: [
        ['Host', 'example.com:443'],
        ['User-Agent', 'curl/8 (x)'],
        ['Proxy-Authorization', 'Basic a2V5LWE6eA=='],
        ['X', ''],
      ],
      rest: '\x16\x03',
    })
    assert.equal(plainConnect(Buffer.from('CONNECT a:1 HTTP/1.1\r\n\r\n'))?.authority, 'a:1')
  })

  it('leaves everything else to Node’s parser', () => {
    const others = [
      ...['', 'C', '\x05\x01\x00', 'GET http://a/ HTTP/1.1\r\n\r\n', HEAD.slice(0, -1), `X${HEAD}`, `\r\n${HEAD}`],
      ...['1.0', '2.0', '1.1 '].map((version) => HEAD.replace('1.1', version)),
      ...['[::1]:443', 'h', 'http://h:443', 'u@h:443', 'h:443/x', 'h:123456', '%61:1'].map((authority) =>
        HEAD.replace('example.com:443', authority),
      ),
      ...['Content-Length: 2', 'transfer-encoding: chunked', 'Expect: 100-continue', 'UPGRADE: h2c'].map((header) =>
        HEAD.replace('Host', `${header}\r\nHost`),
      ),
      ...['X:y', 'X : y', ' x', 'X: \x80', 'X: \x00', 'X: a\nY: b', `X: ${'x'.repeat(4_096)}`].map((line) =>
        HEAD.replace('Host', `${line}\r\nHost`),
      ),
    ]
    for (const text of others) assert.equal(plainConnect(Buffer.from(text, 'latin1')), undefined, JSON.stringify(text))
  })

  it('reads nothing in another way than Node’s parser', async () => {
    const random = seededRandom(7)
    let plain = 0
    for (let count = 0; count < 3_000; count++) {
      let text = `${HEAD}rest`
      for (let changes = random.int(3); changes >= 0; changes--) {
        const at = random.int(text.length)
        text = text.slice(0, at) + (BYTES[random.int(BYTES.length)] ?? '') + text.slice(at + random.int(3))
      }
      const bytes = Buffer.from(text, 'latin1')
      const read = plainConnect(bytes)
      if (read === undefined) continue
      plain++
      assert.deepEqual({ ...read, rest: read.rest.toString('latin1') }, await byNode(bytes), JSON.stringify(text))
    }
    assert.ok(plain > 300, `${plain}`)
  })
})

async function byNode(bytes: Buffer): Promise<unknown> {
  const server = createServer({ requireHostHeader: false })
  let read: unknown
  server.on('connect', ({ url, rawHeaders }: IncomingMessage, socket: Socket, head: Buffer) => {
    read = { authority: url, headers: headerList(rawHeaders), rest: head.toString('latin1') }
    socket.destroy()
  })
  const [client, inner] = duplexPair()
  client.on('error', () => {}).resume()
  server.emit('connection', inner)
  client.write(bytes)
  for (let turns = 0; turns < 20 && read === undefined; turns++) await turn()
  client.destroy()
  inner.destroy()
  return read
}

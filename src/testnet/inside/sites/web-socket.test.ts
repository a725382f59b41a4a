import assert from 'node:assert/strict'
import { once } from 'node:events'
import { createConnection } from 'node:net'
import { text } from 'node:stream/consumers'
import { describe, it } from 'node:test'
import { systemClock } from '../../../lib/clock.ts'
import { RequestLog } from './request-log.ts'
import { SiteServer } from './site-server.ts'

describe('a WebSocket of a site', { timeout: 20_000 }, () => {
  it('echoes what comes, small and large, text and bytes', async () => {
    await using site = await open()
    const socket = new WebSocket(`ws://127.0.0.1:${site.port}/echo`)
    socket.binaryType = 'arraybuffer'
    await once(socket, 'open')
    for (const message of ['', 'hällo', 'x'.repeat(126), 'y'.repeat(100_000)]) {
      socket.send(message)
      const [{ data }] = await once(socket, 'message')
      assert.equal(data, message)
    }
    socket.send(new Uint8Array([0, 1, 255]))
    const [{ data }] = await once(socket, 'message')
    assert.deepEqual(new Uint8Array(data), new Uint8Array([0, 1, 255]))
    socket.close(4000, 'enough')
    const [{ code, reason }] = await once(socket, 'close')
    assert.deepEqual([code, reason], [4000, 'enough'])
  })

  it('answers a ping, refuses a handshake that is none, and takes another upgrade for a plain request', async () => {
    await using site = await open()
    const key = 'Sec-WebSocket-Key: AAAAAAAAAAAAAAAAAAAAAA==\r\n'
    const ping = Buffer.from([0x89, 0x82, 1, 2, 3, 4, 0x68 ^ 1, 0x69 ^ 2])
    const close = Buffer.from([0x88, 0x80, 0, 0, 0, 0])
    const upgrade = (to: string, lines: string) => `GET / HTTP/1.1\r\nHost: x\r\nConnection: ${to}\r\n${lines}\r\n`
    const websocket = upgrade('Upgrade', `Upgrade: websocket\r\nSec-WebSocket-Version: 13\r\n${key}`)
    const answer = await exchange(site.port, Buffer.concat([Buffer.from(websocket), ping, close]))
    assert.match(answer, /^HTTP\/1\.1 101 /)
    assert.ok(answer.endsWith('\r\n\r\n\x8a\x02hi\x88\x00'))
    assert.match(await exchange(site.port, upgrade('Upgrade', 'Upgrade: websocket\r\n')), /^HTTP\/1\.1 400 /)
    assert.match(await exchange(site.port, upgrade('Upgrade, close', 'Upgrade: h2c\r\n')), /^HTTP\/1\.1 404 /)
  })

  it('ends with the site', async () => {
    const site = await open()
    const socket = new WebSocket(`ws://127.0.0.1:${site.port}/echo`)
    await once(socket, 'open')
    const closed = once(socket, 'close')
    await site[Symbol.asyncDispose]()
    await closed
  })
})

async function open(): Promise<SiteServer> {
  const log = new RequestLog(systemClock)
  const at = { name: 'site', address: '127.0.0.1', port: 0 }
  return await SiteServer.listen({ ...at, routes: [], log, clock: systemClock })
}

/** All that comes back, as one character a byte. */
async function exchange(port: number, request: string | Buffer): Promise<string> {
  const socket = createConnection({ host: '127.0.0.1', port })
  socket.setEncoding('latin1')
  socket.write(request)
  return await text(socket)
}

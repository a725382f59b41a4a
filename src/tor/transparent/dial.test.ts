import assert from 'node:assert/strict'
import { createSocket, type Socket } from 'node:dgram'
import { once } from 'node:events'
import { createServer, type Socket as TcpSocket } from 'node:net'
import { describe, it, type TestContext } from 'node:test'
import { dialTransparently, resolveTransparently } from './dial.ts'
import { TransparentResolveError, TransparentUnreachableError } from './errors.ts'

const never = new AbortController().signal
const FROM = '127.0.0.2'

/** Answers each question by what `answer` gives for its number, from 0: bytes behind the echoed question, or nothing. */
async function dnsPort(t: TestContext, answer: (n: number) => { flags: number; address?: string } | undefined) {
  const socket: Socket = createSocket('udp4')
  const asked: { name: string; from: string }[] = []
  socket.on('message', (question, peer) => {
    const reply = answer(asked.length)
    asked.push({ name: nameIn(question), from: `${peer.address}:${peer.port}` })
    if (reply === undefined) return
    const header = Buffer.from(question.subarray(0, 12))
    header.writeUInt16BE(reply.flags, 2)
    header.writeUInt16BE(reply.address === undefined ? 0 : 1, 6)
    header.writeUInt32BE(0, 8)
    const end = question.indexOf(0, 12) + 5
    const record =
      reply.address === undefined
        ? []
        : [0xc0, 12, 0, 1, 0, 1, 0, 0, 0, 60, 0, 4, ...reply.address.split('.').map(Number)]
    socket.send(Buffer.concat([header, question.subarray(12, end), Buffer.from(record)]), peer.port, peer.address)
  })
  socket.bind(0, '127.0.0.1')
  await once(socket, 'listening')
  t.after(() => socket.close())
  return { asked, server: { host: '127.0.0.1', port: socket.address().port } }
}

function nameIn(question: Buffer): string {
  const labels: string[] = []
  for (let at = 12; question[at]; at += 1 + (question[at] ?? 0))
    labels.push(question.toString('latin1', at + 1, at + 1 + (question[at] ?? 0)))
  return labels.join('.')
}

describe('resolveTransparently()', { timeout: 10_000 }, () => {
  it('asks the DNSPort from our end of the tunnel, and nobody else', async (t) => {
    const { asked, server } = await dnsPort(t, () => ({ flags: 0x8180, address: '10.128.0.7' }))
    const query = { name: 'www.example.com', server, from: FROM, timeoutMs: 1_000, tries: 1 }
    assert.equal(await resolveTransparently(query, never), '10.128.0.7')
    assert.equal(asked.length, 1)
    assert.equal(asked[0]?.name, 'www.example.com')
    assert.match(asked[0]?.from ?? '', /^127\.0\.0\.2:/)
  })

  it('asks again from another port when there is no answer, as often as it may', async (t) => {
    const { asked, server } = await dnsPort(t, (n) => (n < 2 ? undefined : { flags: 0x8180, address: '10.128.0.8' }))
    const query = { name: 'a.test', server, from: FROM, timeoutMs: 50, tries: 3 }
    assert.equal(await resolveTransparently(query, never), '10.128.0.8')
    assert.equal(new Set(asked.map(({ from }) => from)).size, 3)
    const silent = await dnsPort(t, () => undefined)
    await assert.rejects(resolveTransparently({ ...query, server: silent.server, tries: 2 }, never), (error) => {
      assert.ok(error instanceof TransparentResolveError)
      assert.equal(error.code, 'ETIMEOUT')
      return true
    })
    assert.equal(silent.asked.length, 2)
  })

  it('does not ask again for a name that there is not', async (t) => {
    const { asked, server } = await dnsPort(t, () => ({ flags: 0x8183 }))
    const query = { name: 'nowhere.test', server, from: FROM, timeoutMs: 1_000, tries: 3 }
    await assert.rejects(resolveTransparently(query, never), { code: 'ENOTFOUND' })
    assert.equal(asked.length, 1)
  })

  it('ends with its signal, and refuses what would need another resolver', async (t) => {
    const { server } = await dnsPort(t, () => undefined)
    const query = { name: 'a.test', server, from: FROM, timeoutMs: 5_000, tries: 1 }
    const leaving = new AbortController()
    const resolving = resolveTransparently(query, leaving.signal)
    leaving.abort(new Error('the client left'))
    await assert.rejects(resolving, /the client left/)
    await assert.rejects(resolveTransparently({ ...query, server: { host: 'dns.test', port: 53 } }, never), RangeError)
  })
})

describe('dialTransparently()', { timeout: 10_000 }, () => {
  it('comes from the address and port that it is told', async (t) => {
    const server = createServer((peer: TcpSocket) => peer.end(`${peer.remoteAddress}:${peer.remotePort}`))
    server.listen(0, '127.0.0.1')
    await once(server, 'listening')
    t.after(() => server.close())
    const { port } = server.address() as { port: number }
    const from = { host: FROM, port: 20_000 + (process.pid % 10_000) }
    const socket = await dialTransparently({ address: '127.0.0.1', port, from }, never)
    assert.equal(String((await once(socket, 'data'))[0]), `${from.host}:${from.port}`)
    socket.destroy()
  })

  it('says that the way is closed, and never takes a name or another way', async () => {
    const from = { host: FROM, port: 0 }
    await assert.rejects(dialTransparently({ address: '127.0.0.1', port: 1, from }, never), TransparentUnreachableError)
    // No tunnel has this address, so there is no way out with it.
    const away = { host: '10.201.250.16', port: 0 }
    await assert.rejects(
      dialTransparently({ address: '192.0.2.1', port: 80, from: away }, never),
      TransparentUnreachableError,
    )
    await assert.rejects(dialTransparently({ address: 'example.com', port: 80, from }, never), RangeError)
    await assert.rejects(dialTransparently({ address: '::1', port: 80, from }, never), RangeError)
    const aborted = AbortSignal.abort(new Error('too late'))
    await assert.rejects(dialTransparently({ address: '127.0.0.1', port: 1, from }, aborted), /too late/)
  })
})

/** The rows of the table of bad inputs that are more than one message with one answer, by their numbers. */
import assert from 'node:assert/strict'
import { once } from 'node:events'
import { after, before, describe, it } from 'node:test'
import { setImmediate } from 'node:timers/promises'
import v8 from 'node:v8'
import { runInNewContext } from 'node:vm'
import { createApiClient } from '../../src/client/client.ts'
import { systemClock } from '../../src/lib/clock.ts'
import { parseDestination } from '../../src/ssh/destination.ts'
import { fingerprint, generateKeyPair } from '../../src/ssh/keys.ts'
import { SshSession } from '../../src/ssh/session.ts'
import { TestSshServer } from '../../src/ssh/test-ssh-server.ts'
import { eventually, problemOf } from '../asking.ts'
import { answerOf } from './answer.ts'
import { filledIn, type Lab, startLab } from './lab.ts'
import { posted, request } from './rows.ts'

const never = new AbortController().signal
v8.setFlagsFromString('--expose-gc')
const collectGarbage: () => void = runInNewContext('gc')

describe('clients that take their time', { concurrency: true, timeout: 300_000 }, () => {
  let lab: Lab
  before(async () => {
    lab = await startLab()
  })
  after(() => lab[Symbol.asyncDispose]())

  const head = (length: string) =>
    filledIn(request('POST', '/api/v1/fetch', ['Content-Type: application/json', length]), lab, 'api')

  /** Sends `bytes`, then `byte` every so often, and expects a 408 and the end within these bounds. */
  async function isLate(bytes: string, [byte, everyMs]: readonly [string, number], [minMs, maxMs]: [number, number]) {
    const client = await lab.dial('api')
    const startedAt = performance.now()
    client.send(bytes)
    const drip = setInterval(() => client.socket.writable && client.send(byte), everyMs)
    const { status, body } = await answerOf(client, maxMs).finally(() => clearInterval(drip))
    await client.readsAll()
    assert.equal(status, 408, body)
    assert.equal(JSON.parse(body).code, 'request_timeout')
    const tookMs = performance.now() - startedAt
    assert.ok(tookMs >= minMs && tookMs <= maxMs, `${tookMs} ms`)
  }

  it('13 F a Content-Length that is too large', () =>
    isLate(`${head('Content-Length: 99')}{}`, ['', 60_000], [8_000, 14_000]))
  it('13 F chunks without an end', () =>
    isLate(`${head('Transfer-Encoding: chunked')}2\r\n{}\r\n`, ['', 60_000], [8_000, 14_000]))
  it('15 F a byte of a header every five seconds', () =>
    isLate('POST /api/v1/fetch HTTP/1.1\r\nX: ', ['x', 5_000], [9_000, 14_000]))
  it('15 F a request that never begins', async () => {
    const client = await lab.dial('api')
    await client.readsAll(14_000)
    assert.match(client.text, /^(?:HTTP\/1\.1 408 |$)/)
  })
  it('16 F a byte of a body every second', () => isLate(head('Content-Length: 999'), [' ', 1_000], [8_000, 14_000]))
  it('16 F a body that is fast enough and takes too long', () =>
    isLate(head('Content-Length: 999999'), [' '.repeat(600), 1_000], [29_000, 34_000]))
  it('78 S a handshake that does not go on', async () => {
    const client = await lab.dial('socks')
    client.send('\x05\x01\x00')
    assert.equal(await client.readsAll(14_000), '\x05\x00')
  })
})

describe('rows that are more than one message', { timeout: 300_000 }, () => {
  let lab: Lab
  before(async () => {
    lab = await startLab()
  })
  after(() => lab[Symbol.asyncDispose]())

  it('4 F a key in the URL is not logged', async () => {
    const client = await lab.dial('api')
    client.send(filledIn(posted({ url: 'http://ok.test/' }, [], '/api/v1/fetch?api_key={KEY}'), lab, 'api'))
    assert.equal((await answerOf(client)).status, 401)
    assert.ok(!lab.logged().includes(lab.key))
  })

  it('51 F the session of another key', async () => {
    const { key } = await lab.api.createKey({ name: 'other', scopes: ['fetch', 'sessions'] })
    await lab.api.fetch({ url: 'http://ok.test/', sticky_key: 'mine' })
    const other = createApiClient({ baseUrl: lab.service.url, key })
    for (const ask of [
      () => other.session('mine'),
      () => other.rotateSession('mine'),
      () => other.endSession('mine'),
      () => other.fetch({ url: 'http://ok.test/', sticky_key: 'own', distinct_from: 'mine' }),
    ]) {
      const { status, code } = await problemOf(ask())
      assert.deepEqual([status, code], [404, 'session_not_found'])
    }
    assert.deepEqual((await other.sessions()).sessions, [])
    await lab.api.session('mine')
  })

  it('54, 55 F bodies without an end and bombs leave no memory behind', async () => {
    // What is still in use: how far the process grows before V8 collects garbage is V8's business.
    const inUseAfter = async (rounds: number) => {
      for (let round = 0; round < rounds; round++)
        for (const path of ['endless', 'bomb/gzip', 'bomb/br', 'bomb/zstd'])
          await problemOf(lab.api.fetch({ url: `http://ok.test/${path}` }))
      await eventually(async () => lab.sockets.size === 0)
      // More than once: what a handle held is garbage only when the handle is gone.
      for (let times = 0; times < 4; times++) {
        collectGarbage()
        await setImmediate()
      }
      const { heapUsed, external } = process.memoryUsage()
      return heapUsed + external
    }
    const before = await inUseAfter(5)
    const grown = (await inUseAfter(10)) - before
    assert.ok(grown < 4 * 1024 * 1024, `${grown} bytes`)
  })

  it('60 F the client leaves in the middle: the stream to the target ends, and the worker is free', async () => {
    const others = new Set(lab.sockets)
    const client = await lab.dial('api')
    client.send(filledIn(posted({ url: 'http://ok.test/never', isolation: 'request' }), lab, 'api'))
    const target = await eventually(async () => [...lab.sockets].find((socket) => !others.has(socket)))
    const closed = once(target, 'close', { signal: AbortSignal.timeout(1_000) })
    client.socket.destroy()
    await closed
    const { workers } = await lab.api.workers()
    assert.deepEqual(
      workers.map((worker) => worker.leases),
      workers.map(() => 0),
    )
  })

  it('62 F no worker can take it: 503, when to come again if that may help, and none is asked', async () => {
    const unable = async (retryAfter: RegExp) => {
      const before = lab.asked.length
      const client = await lab.dial('api')
      client.send(filledIn(posted({ url: 'http://ok.test/' }), lab, 'api'))
      const { status, headers, body } = await answerOf(client)
      assert.deepEqual([status, JSON.parse(body).code], [503, 'no_worker'])
      assert.match(headers.get('retry-after') ?? 'none', retryAfter)
      assert.equal(lab.asked.length, before)
    }
    for (const worker of lab.workers) worker.kill()
    await unable(/^[1-9]\d*$/)
    await lab.service.ready(AbortSignal.timeout(20_000))
    // Without the operator those do not come back, however often somebody asks: nothing is promised.
    const all = ['tor01', 'tor02'] as const
    for (const worker of all) await lab.api.drain(worker, { force: true })
    await unable(/^none$/)
    for (const worker of all) await lab.api.stopTor(worker)
    await unable(/^none$/)
    for (const worker of all) await lab.api.startTor(worker)
    for (const worker of all) await lab.api.enable(worker)
    await lab.service.ready(AbortSignal.timeout(10_000))
  })

  it('87 S data ahead of the reply: 64 KiB are kept, and not a byte more', async () => {
    for (const worker of lab.workers) worker.blackhole(true)
    const client = await lab.dial('socks')
    client.send('\x05\x01\x00\x05\x01\x00\x03\x07ok.test\x01\xbb')
    client.send('x'.repeat(64 * 1024))
    await client.reads((text) => text === '\x05\x00')
    await new Promise((resolve) => setTimeout(resolve, 100))
    assert.equal(client.text, '\x05\x00')
    client.send('x')
    assert.equal(await client.readsAll(), '\x05\x00\x05\x01\x00\x01\x00\x00\x00\x00\x00\x00')
    for (const worker of lab.workers) worker.blackhole(false)
  })
})

describe('tunnels', { timeout: 300_000 }, () => {
  it('77 H an idle tunnel ends, and one whose client has ended its side gets the rest', async () => {
    await using lab = await startLab({ proxy: { idle_timeout: '1s' } })
    const open = async () => {
      const client = await lab.dial('http')
      client.send('CONNECT ok.test:443 HTTP/1.1\r\nHost: a\r\n\r\nhello')
      await client.reads((text) => text.endsWith('hello'))
      return client
    }
    const idle = await open()
    const busy = await open()
    const keepBusy = setInterval(() => busy.send('.'), 200)
    await idle.readsAll(4_000)
    assert.equal(busy.isClosed, false)
    clearInterval(keepBusy)
    busy.send('last words')
    busy.socket.end()
    assert.match(await busy.readsAll(4_000), /last words$/)
  })
})

describe('a box as a worker', { timeout: 300_000 }, () => {
  // The API does not make workers: boxes come from the command line and the state directory, both of which go by this. A zone of an
  // IPv6 address is one of the things that the table refuses; here it may be, as an interface's name and nothing else, for link-local
  // addresses are nothing without it, and no shell ever sees it.
  for (const host of [
    ...[
      '-oProxyCommand=reboot',
      'root@-oProxyCommand=x',
      'a;reboot',
      '$(x)',
      '`x`',
      'a b',
      'a\nb',
      'a\r',
      'a|b',
      'a&b',
      "a'b",
    ],
    ...['a"b', '../a', 'fe80::1%eth0;x', '[fe80::1%$(x)]', '', '-', 'a:99999', 'root;x@a', 'ssh://a'],
  ])
    it(`89 ${JSON.stringify(host)} is no host`, () => {
      assert.throws(() => parseDestination(host), { name: 'SshError', fault: 'invalid' })
    })

  it('90 another host key: nothing is sent, and the worker is untrusted', async () => {
    const commands: string[] = []
    await using server = await TestSshServer.start({
      onExec: (channel, command) => {
        commands.push(command)
        channel.exit(0)
        channel.end()
      },
    })
    const hostKey = fingerprint(Buffer.from(generateKeyPair().authorizedKey.split(' ')[1] ?? '', 'base64'))
    await using session = new SshSession({ target: { ...server.target, hostKey }, clock: systemClock })
    await assert.rejects(session.forward(80, never), { fault: 'untrusted' })
    assert.equal(session.state, 'untrusted')
    assert.deepEqual([commands, server.authMethods], [[], []])
  })
})

import assert from 'node:assert/strict'
import { spawnSync } from 'node:child_process'
import { once } from 'node:events'
import { mkdtempSync } from 'node:fs'
import { rm } from 'node:fs/promises'
import { connect } from 'node:net'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { after, before, describe, it } from 'node:test'
import { systemClock } from '../../lib/clock.ts'
import { silentLogger } from '../../lib/log.ts'
import { TorProcess } from '../process/tor-process.ts'
import { torDirectory } from '../tor-directory.ts'
import { workerTorrc } from '../torrc/worker-torrc.ts'
import { dialThroughSocks, resolveThroughSocks } from './dial.ts'
import { SocksReplyError } from './errors.ts'

const NO_TOR = spawnSync('tor', ['--version']).status === 0 ? false : 'tor is not installed'

/** Tor opens no SOCKS port while `DisableNetwork` is set; so it gets a network of one authority, which is not there. */
const NOWHERE = `DirAuthority nowhere orport=1 no-v2 v3ident=${'AB'.repeat(20)} 127.0.0.1:1 ${'CD'.repeat(20)}`
const auth = { username: 'ann', password: 'x' }

describe('the SOCKS port of tor', { skip: NO_TOR, timeout: 30_000 }, () => {
  const directory = torDirectory(mkdtempSync(join(tmpdir(), 'tor-')))
  const proxy = { path: directory.socksSocket }
  const tor = new TorProcess({
    torrc: workerTorrc({ directory, owner: process.pid, extra: [NOWHERE] }),
    directory,
    logger: silentLogger,
    clock: systemClock,
  })
  before(() => tor.start(never()))
  after(async () => {
    await tor.stop(never())
    await rm(directory.path, { recursive: true })
  })

  for (const host of [`${'a'.repeat(56)}.onion`, `www.${'a'.repeat(56)}.onion`, 'expyuzz4wqqyqhjn.onion'])
    it(`takes user name and password and answers F6 for ${host.length} characters of no onion service`, async (t) => {
      const dialling = dialThroughSocks({ proxy, auth, target: { host, port: 80 } }, t.signal)
      await assert.rejects(dialling, refusal(0xf6))
    })

  it('takes early data behind the request', async (t) => {
    const target = { host: `${'a'.repeat(56)}.onion`, port: 80 }
    const earlyData = Buffer.alloc(4096, 'x')
    await assert.rejects(dialThroughSocks({ proxy, auth, target, earlyData }, t.signal), refusal(0xf6))
  })

  it('refuses an address of its own machine, as a literal of either kind and as a name to resolve', async (t) => {
    for (const host of ['127.0.0.1', '::1'])
      await assert.rejects(dialThroughSocks({ proxy, auth, target: { host, port: 80 } }, t.signal), refusal(0x01))
    const query = { proxy, auth, host: `${'a'.repeat(56)}.onion`, command: 'resolve' } as const
    await assert.rejects(resolveThroughSocks(query, t.signal), SocksReplyError)
  })

  it('gives an address back that it is asked to resolve', async (t) => {
    const query = { proxy, auth, host: '192.0.2.7', command: 'resolve' } as const
    assert.equal(await resolveThroughSocks(query, t.signal), '192.0.2.7')
  })

  it('refuses a user name of the kind that it keeps for itself, which our client therefore does not send', async (t) => {
    const credentials = ['01', '09', Buffer.from('<torS0X>9').toString('hex'), '01 78'].join('')
    const answer = await exchange(proxy.path, ['05 01 02', credentials], t.signal)
    assert.match(answer, /^0502(?:0501|0101)/)
  })

  it('loses its answer to a greeting that comes together with the credentials, which is why ours never do', async (t) => {
    assert.equal(await exchange(proxy.path, ['05 01 02 01 03 61 6e 6e 01 78'], t.signal), '0100')
  })

  it('waits with a request while there is no network, until the caller has had enough', async (t) => {
    const controller = new AbortController()
    const dialling = dialThroughSocks({ proxy, auth, target: { host: 'a.io', port: 80 } }, controller.signal)
    // Longer than tor takes for a refusal: another request is answered meanwhile.
    const bad = { host: `${'a'.repeat(56)}.onion`, port: 80 }
    await assert.rejects(dialThroughSocks({ proxy, auth, target: bad }, t.signal), refusal(0xf6))
    controller.abort(new Error('enough'))
    await assert.rejects(dialling, /enough/)
  })

  it('serves a client without a user name, too', async (t) => {
    const target = { host: `${'a'.repeat(56)}.onion`, port: 80 }
    await assert.rejects(dialThroughSocks({ proxy, target }, t.signal), refusal(0xf6))
  })
})

function refusal(reply: number) {
  return (error: unknown) => error instanceof SocksReplyError && error.reply === reply
}

/** Sends hex, waiting for an answer after each message, and returns all that was answered as hex. */
async function exchange(path: string, messages: readonly string[], signal: AbortSignal): Promise<string> {
  const socket = connect(path)
  try {
    let answer = ''
    for (const message of messages) {
      socket.write(Buffer.from(message.replaceAll(' ', ''), 'hex'))
      const [chunk] = await once(socket, 'data', { signal })
      answer += chunk.toString('hex')
    }
    return answer
  } finally {
    socket.destroy()
  }
}

function never(): AbortSignal {
  return new AbortController().signal
}

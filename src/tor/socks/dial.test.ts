import assert from 'node:assert/strict'
import { subscribe, unsubscribe } from 'node:diagnostics_channel'
import { once } from 'node:events'
import { type AddressInfo, createServer, type Socket } from 'node:net'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { buffer } from 'node:stream/consumers'
import { describe, it } from 'node:test'
import { dialThroughSocks, greetSocks, resolveThroughSocks, type SocksProxy } from './dial.ts'
import { SocksProtocolError, SocksReplyError, SocksUnreachableError } from './errors.ts'
import { ScriptedProxy } from './scripted-proxy.ts'

const auth = { username: 'ann', password: 'x' }
const target = { host: 'a.io', port: 80 }

const GREETING = '05 01 02'
const AUTH = '01 03 61 6e 6e 01 78'
const CONNECT = '05 01 00 03 04 61 2e 69 6f 00 50'
const SUCCESS = '05 00 00 01 00 00 00 00 00 00'

describe('dialThroughSocks()', { timeout: 20_000 }, () => {
  for (const kind of ['unix', 'tcp'] as const)
    it(`connects through a ${kind} socket and gives back a socket with nothing of ours on it`, async () => {
      await using proxy = await ScriptedProxy.listen(kind, [
        GREETING,
        '>05 02',
        AUTH,
        '>01 00',
        CONNECT,
        `>${SUCCESS}`,
        'ff',
      ])
      const socket = await dialThroughSocks({ proxy: proxy.address, auth, target }, never())
      assert.deepEqual(
        ['readable', 'end', 'data', 'close'].map((event) => socket.listenerCount(event)),
        [0, 1, 0, 0], // node's own listener for `end`
      )
      socket.end(Buffer.from('ff', 'hex'))
      await proxy.played
      socket.destroy()
    })

  it('comes from the address that it is told, or not at all', async () => {
    const script = ['05 01 00', '>05 00', CONNECT, `>${SUCCESS}`]
    await using proxy = await ScriptedProxy.listen('tcp', script)
    if ('path' in proxy.address) throw new TypeError('a TCP proxy was wanted')
    const socket = await dialThroughSocks({ proxy: { ...proxy.address, from: '127.0.0.3' }, target }, never())
    assert.equal(socket.localAddress, '127.0.0.3')
    socket.destroy()
    // No interface has it while the tunnel is down.
    const away = { ...proxy.address, from: '10.201.250.2' }
    await assert.rejects(dialThroughSocks({ proxy: away, target }, never()), SocksUnreachableError)
  })

  it('connects without credentials when it has none', async () => {
    await using proxy = await ScriptedProxy.listen('unix', ['05 01 00', '>05 00', CONNECT, `>${SUCCESS}`])
    const socket = await dialThroughSocks({ proxy: proxy.address, target }, never())
    socket.destroy()
  })

  it('understands answers that arrive byte by byte, or in any two pieces', async () => {
    const answers = ['05 02', '01 00', SUCCESS]
    const pieces = [answers.map((answer) => `>${answer.split(' ').join(' | ')}`)]
    for (let at = 1; at < 10; at++) {
      const octets = SUCCESS.split(' ')
      pieces.push(['>05 | 02', '>01 | 00', `>${octets.slice(0, at).join(' ')} | ${octets.slice(at).join(' ')}`])
    }
    for (const [first = '', second = '', third = ''] of pieces) {
      await using proxy = await ScriptedProxy.listen('unix', [GREETING, first, AUTH, second, CONNECT, third])
      const socket = await dialThroughSocks({ proxy: proxy.address, auth, target }, never())
      socket.destroy()
    }
  })

  it('loses none of the bytes that come in one segment with the reply, even when the target hangs up at once', async () => {
    const hello = Buffer.from('hello, I am the target').toString('hex')
    const script = [GREETING, '>05 02', AUTH, '>01 00', CONNECT, `>${SUCCESS}${hello}`, '!end']
    await using proxy = await ScriptedProxy.listen('unix', script)
    const socket = await dialThroughSocks({ proxy: proxy.address, auth, target }, never())
    await proxy.played
    assert.equal((await buffer(socket)).toString(), 'hello, I am the target')
  })

  it('lets a reader that comes late or by events have every byte', async () => {
    const script = [GREETING, '>05 02', AUTH, '>01 00', CONNECT, `>${SUCCESS} 61`, '>62', '!end']
    await using proxy = await ScriptedProxy.listen('unix', script)
    const socket = await dialThroughSocks({ proxy: proxy.address, auth, target }, never())
    await proxy.played
    let received = ''
    socket.on('data', (chunk) => {
      received += chunk
    })
    await once(socket, 'end')
    assert.equal(received, 'ab')
    socket.destroy()
  })

  it('rejects with the code of a refusal, and does not wait for the rest of it', async () => {
    for (const [reply, name] of [
      ['05 05 00 01 00 00 00 00 00 00', /connection refused/],
      ['05 f6', /invalid address/],
      ['05 fe', /unknown \(0xFE\)/],
    ] as const) {
      await using proxy = await ScriptedProxy.listen('unix', [GREETING, '>05 02', AUTH, '>01 00', CONNECT, `>${reply}`])
      const dialling = dialThroughSocks({ proxy: proxy.address, auth, target }, never())
      await assert.rejects(dialling, (error) => error instanceof SocksReplyError && name.test(error.message))
      await proxy.abandoned
    }
  })

  it('rejects with a protocol error when an answer is cut short at any byte', async () => {
    const answers = ['05 02', '01 00', SUCCESS]
    const requests = [GREETING, AUTH, CONNECT]
    for (const [stage, answer] of answers.entries()) {
      const octets = answer.split(' ')
      for (let kept = stage === 0 ? 1 : 0; kept < octets.length; kept++) {
        const before = requests.slice(0, stage).flatMap((bytes, i) => [bytes, `>${answers[i]}`])
        const script = [...before, requests[stage] ?? '', `>${octets.slice(0, kept).join(' ')}`, '!end']
        await using proxy = await ScriptedProxy.listen('unix', script)
        const dialling = dialThroughSocks({ proxy: proxy.address, auth, target }, never())
        await assert.rejects(dialling, SocksProtocolError, `stage ${stage}, ${kept} bytes`)
        await proxy.abandoned
      }
    }
  })

  it('rejects with a protocol error when the proxy says more than it was asked', async () => {
    await using proxy = await ScriptedProxy.listen('unix', [GREETING, '>05 02 01 00'])
    await assert.rejects(dialThroughSocks({ proxy: proxy.address, auth, target }, never()), /spoke before it was asked/)
    await proxy.abandoned
  })

  it('rejects as unreachable when nobody listens, and when the proxy hangs up before its first answer', async () => {
    await using proxy = await ScriptedProxy.listen('unix', [GREETING, '!end'])
    const dials: SocksProxy[] = [
      { path: join(tmpdir(), 'no-such-socket') },
      { host: '127.0.0.1', port: await unusedPort() },
      proxy.address,
    ]
    for (const address of dials)
      await assert.rejects(dialThroughSocks({ proxy: address, auth, target }, never()), SocksUnreachableError)
  })

  it('opens no socket for a request that cannot be sent, nor for a signal that is aborted already', async () => {
    await using proxy = await ScriptedProxy.listen('unix', [])
    const dial = { proxy: proxy.address, auth, target }
    await assert.rejects(dialThroughSocks({ ...dial, target: { host: '', port: 80 } }, never()), RangeError)
    await assert.rejects(dialThroughSocks({ ...dial, auth: { username: '', password: 'x' } }, never()), RangeError)
    await assert.rejects(dialThroughSocks(dial, AbortSignal.abort(new Error('enough'))), /enough/)
    assert.equal(proxy.connections, 0)
  })

  it('rejects with the reason of its signal at every stage, leaving no socket behind', async () => {
    const script = [GREETING, '>05 02', AUTH, '>01 00', CONNECT, '>05 00 00']
    for (const stage of [1, 3, 5, 6]) {
      await using proxy = await ScriptedProxy.listen('unix', script.slice(0, stage))
      const controller = new AbortController()
      const dialling = dialThroughSocks({ proxy: proxy.address, auth, target }, controller.signal)
      void proxy.played.then(() => controller.abort(new Error(`stage ${stage}`)))
      await assert.rejects(dialling, new RegExp(`stage ${stage}`))
      await proxy.abandoned
    }
  })

  it('leaves no socket behind when its signal aborts between the last answer and whoever waits for it', async () => {
    await using proxy = await ScriptedProxy.listen('unix', ['05 01 00', '>05 00', CONNECT, `>${SUCCESS}`])
    const controller = new AbortController()
    const onSocket = (message: unknown) => {
      const { socket } = message as { socket: Socket }
      socket.on('readable', () => {
        if (socket.bytesRead > 2) process.nextTick(() => controller.abort(new Error('just now')))
      })
    }
    subscribe('net.client.socket', onSocket)
    const dialling = dialThroughSocks({ proxy: proxy.address, target }, controller.signal)
    unsubscribe('net.client.socket', onSocket)
    await assert.rejects(dialling, /just now/)
    await proxy.abandoned
  })

  it('sends early data with the request, and what the target answers is not lost', async () => {
    const script = [GREETING, '>05 02', AUTH, '>01 00', `${CONNECT} 68 69`, `>${SUCCESS} 6f 6b`, '!end']
    await using proxy = await ScriptedProxy.listen('unix', script)
    const dial = { proxy: proxy.address, auth, target, earlyData: Buffer.from('hi') }
    const socket = await dialThroughSocks(dial, never())
    assert.equal((await buffer(socket)).toString(), 'ok')
  })

  it('stops listening to its signal once it has connected', async () => {
    await using proxy = await ScriptedProxy.listen('unix', [
      GREETING,
      '>05 02',
      AUTH,
      '>01 00',
      CONNECT,
      `>${SUCCESS}`,
      'ff',
    ])
    const controller = new AbortController()
    const socket = await dialThroughSocks({ proxy: proxy.address, auth, target }, controller.signal)
    controller.abort()
    socket.write(Buffer.from('ff', 'hex'))
    await proxy.played
    assert.equal(socket.destroyed, false)
    socket.destroy()
  })
})

describe('greetSocks()', { timeout: 20_000 }, () => {
  it('is content with an answer to who we are, and hangs up without asking for anything', async () => {
    await using proxy = await ScriptedProxy.listen('unix', [GREETING, '>05 02', AUTH, '>01 00'])
    await greetSocks(proxy.address, auth, never())
    await proxy.played
    await proxy.abandoned
  })

  it('waits for an answer until it is told not to, and leaves no socket behind', async () => {
    await using proxy = await ScriptedProxy.listen('unix', [GREETING])
    const controller = new AbortController()
    const greeting = greetSocks(proxy.address, auth, controller.signal)
    await proxy.played
    controller.abort(new Error('enough'))
    await assert.rejects(greeting, /enough/)
    await proxy.abandoned
  })

  it('fails where nobody listens', async () => {
    const path = join(tmpdir(), 'nobody-listens-here')
    await assert.rejects(greetSocks({ path }, auth, never()), SocksUnreachableError)
  })
})

describe('resolveThroughSocks()', { timeout: 20_000 }, () => {
  it('returns the address that the exit found, and closes', async () => {
    const script = [
      GREETING,
      '>05 02',
      AUTH,
      '>01 00',
      '05 f0 00 03 04 61 2e 69 6f 00 00',
      '>05 00 00 01 c0 00 02 07 00 00',
    ]
    await using proxy = await ScriptedProxy.listen('unix', script)
    const query = { proxy: proxy.address, auth, host: 'a.io', command: 'resolve' } as const
    assert.equal(await resolveThroughSocks(query, never()), '192.0.2.7')
    await proxy.abandoned
  })

  it('rejects with the code when there is no such name', async () => {
    const script = ['05 01 00', '>05 00', '05 f0 00 03 04 61 2e 69 6f 00 00', '>05 04']
    await using proxy = await ScriptedProxy.listen('unix', script)
    const query = { proxy: proxy.address, host: 'a.io', command: 'resolve' } as const
    await assert.rejects(
      resolveThroughSocks(query, never()),
      (error) => error instanceof SocksReplyError && error.reply === 4,
    )
  })
})

async function unusedPort(): Promise<number> {
  const server = createServer().listen(0, '127.0.0.1')
  await once(server, 'listening')
  const { port } = server.address() as AddressInfo
  server.close()
  await once(server, 'close')
  return port
}

function never(): AbortSignal {
  return new AbortController().signal
}

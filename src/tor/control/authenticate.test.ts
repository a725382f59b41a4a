import assert from 'node:assert/strict'
import { createHmac } from 'node:crypto'
import { mkdtemp, rm, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { describe, it, type TestContext } from 'node:test'
import { seededRandom } from '../../lib/random.ts'
import { authenticate, type Credentials } from './authenticate.ts'
import { ControlConnection } from './connection.ts'
import { AuthenticationError, ControlReplyError, ProtocolError } from './errors.ts'
import { FakeTor } from './fake-tor.ts'

const COOKIE = Buffer.from(Array.from({ length: 32 }, (_, index) => index))
const SERVER_NONCE = Buffer.alloc(32, 0x5a)

interface Peer {
  readonly methods?: string
  readonly cookie?: Buffer
  /** Instead of the right reply to AUTHCHALLENGE. */
  readonly challenge?: string
}

function hmac(direction: string, transcript: Buffer): string {
  return createHmac('sha256', `Tor safe cookie authentication ${direction} hash`).update(transcript).digest('hex')
}

/** Checks what it is told, as Tor does. */
function fakeTor({ methods = 'COOKIE,SAFECOOKIE', cookie = COOKIE, challenge }: Peer = {}): FakeTor {
  let expected = methods === 'NULL' ? 'AUTHENTICATE' : `AUTHENTICATE ${Buffer.from('p"w').toString('hex')}`
  return new FakeTor((line) => {
    const [command, , nonce = ''] = line.split(' ')
    switch (command) {
      case 'PROTOCOLINFO':
        return `250-PROTOCOLINFO 1\r\n250-AUTH METHODS=${methods} COOKIEFILE="/etc/shadow"\r\n250-VERSION Tor="0.4.9.11" FUTURE=1\r\n250-NEWS x\r\n250 OK\r\n`
      case 'AUTHCHALLENGE': {
        const transcript = Buffer.concat([cookie, Buffer.from(nonce, 'hex'), SERVER_NONCE])
        expected = `AUTHENTICATE ${hmac('controller-to-server', transcript)}`
        const serverHash = hmac('server-to-controller', transcript).toUpperCase()
        return challenge ?? `250 AUTHCHALLENGE SERVERHASH=${serverHash} SERVERNONCE=${SERVER_NONCE.toString('hex')}\r\n`
      }
      default:
        return line === expected ? '250 OK\r\n650 SIGNAL NEWNYM\r\n' : '515 Authentication failed\r\n'
    }
  })
}

async function outcome(t: TestContext, peer: Peer, credentials: Credentials) {
  const tor = fakeTor(peer)
  const control = new ControlConnection(tor.stream)
  t.after(() => control[Symbol.asyncDispose]())
  const result = await authenticate(control, credentials, seededRandom(1), t.signal).catch((error: unknown) => error)
  return { result, commands: tor.received.map((line) => line.split(' ', 1)[0]), isOpen: control.closedBy === undefined }
}

async function cookieFile(t: TestContext, content: Buffer): Promise<string> {
  const directory = await mkdtemp(join(tmpdir(), 'cbtor-'))
  t.after(() => rm(directory, { recursive: true }))
  const path = join(directory, 'cookie')
  await writeFile(path, content)
  return path
}

describe('authenticate()', { timeout: 10_000 }, () => {
  it('proves itself by SAFECOOKIE, asking for PROTOCOLINFO once', async (t: TestContext) => {
    const path = await cookieFile(t, COOKIE)
    for (const credentials of [
      { method: 'cookie', cookie: COOKIE },
      { method: 'cookie-file', path },
    ] as const) {
      assert.deepEqual(await outcome(t, {}, credentials), {
        result: { torVersion: '0.4.9.11', methods: ['COOKIE', 'SAFECOOKIE'], cookieFile: '/etc/shadow' },
        commands: ['PROTOCOLINFO', 'AUTHCHALLENGE', 'AUTHENTICATE'],
        isOpen: true,
      })
    }
  })

  it('tells nothing to a peer that does not know the cookie', async (t: TestContext) => {
    const impostor = { cookie: Buffer.alloc(32) }
    const { result, commands, isOpen } = await outcome(t, impostor, { method: 'cookie', cookie: COOKIE })
    assert.ok(result instanceof AuthenticationError)
    assert.match(result.message, /does not know the cookie/)
    assert.deepEqual(commands, ['PROTOCOLINFO', 'AUTHCHALLENGE'])
    assert.equal(isOpen, false)
  })

  it('refuses a challenge that lacks its parts', async (t: TestContext) => {
    const hex = '00'.repeat(32)
    const challenges = [
      '250 OK\r\n',
      `250 AUTHCHALLENGE SERVERHASH=${hex}\r\n`,
      `250 AUTHCHALLENGE SERVERHASH=${hex.slice(2)} SERVERNONCE=${hex}\r\n`,
      `250 AUTHCHALLENGE SERVERHASH=${hex} SERVERNONCE=${hex}00\r\n`,
      `250 AUTHCHALLENGE SERVERHASH=${hex.replace('0', 'g')} SERVERNONCE=${hex}\r\n`,
    ]
    for (const challenge of challenges) {
      const { result, commands, isOpen } = await outcome(t, { challenge }, { method: 'cookie', cookie: COOKIE })
      assert.ok(result instanceof ProtocolError, challenge)
      assert.deepEqual(commands, ['PROTOCOLINFO', 'AUTHCHALLENGE'])
      assert.equal(isOpen, false)
    }
  })

  it('uses no cookie that has not 32 bytes, and no file that is not there', async (t: TestContext) => {
    for (const size of [0, 31, 33, 35, 5000]) {
      const path = await cookieFile(t, Buffer.alloc(size))
      const { result, commands } = await outcome(t, {}, { method: 'cookie-file', path })
      assert.ok(result instanceof AuthenticationError)
      assert.match(result.message, /the cookie has (\d+ of|more than) 32 bytes/)
      assert.deepEqual(commands, ['PROTOCOLINFO'])
    }
    const { result } = await outcome(t, {}, { method: 'cookie-file', path: '/nonexistent/cookie' })
    assert.ok(result instanceof AuthenticationError)
    assert.match(result.message, /ENOENT/)
  })

  it('does not give the cookie away to a peer that offers only COOKIE, nor goes in where it need not prove itself', async (t: TestContext) => {
    for (const methods of ['COOKIE', 'NULL', 'HASHEDPASSWORD', 'TELEPATHY', '']) {
      const { result, commands, isOpen } = await outcome(t, { methods }, { method: 'cookie', cookie: COOKIE })
      assert.ok(result instanceof AuthenticationError, methods)
      assert.match(result.message, /does not offer SAFECOOKIE/)
      assert.deepEqual(commands, ['PROTOCOLINFO'])
      assert.equal(isOpen, false)
    }
  })

  it('sends a password in hexadecimal', async (t: TestContext) => {
    const peer = { methods: 'HASHEDPASSWORD' }
    const right = await outcome(t, peer, { method: 'password', password: 'p"w' })
    assert.equal(right.isOpen, true)
    const wrong = await outcome(t, peer, { method: 'password', password: 'guess' })
    assert.ok(wrong.result instanceof AuthenticationError)
    assert.ok(wrong.result.cause instanceof ControlReplyError)
    assert.equal(wrong.result.cause.code, 515)
    assert.equal(wrong.isOpen, false)
    const empty = await outcome(t, peer, { method: 'password', password: '' })
    assert.ok(empty.result instanceof AuthenticationError)
  })

  it('goes in without proof only on a socket that is ours', async (t: TestContext) => {
    const { commands, isOpen } = await outcome(t, { methods: 'NULL' }, { method: 'owned-socket' })
    assert.deepEqual(commands, ['PROTOCOLINFO', 'AUTHENTICATE'])
    assert.equal(isOpen, true)
  })
})

import assert from 'node:assert/strict'
import { describe, it } from 'node:test'
import fc from 'fast-check'
import type { Handshake } from '../../lib/handshake.ts'
import { addressText } from '../../lib/socks5.ts'
import { SocksProtocolError, SocksReplyError } from './errors.ts'
import { ask, negotiate, type SocksCommand } from './handshake.ts'

const auth = { username: 'ann', password: 'x' }
const CONNECT = { command: 'connect', host: 'example.com', port: 80 } as const

describe('negotiate()', () => {
  it('offers only "user name/password" when it has credentials, and waits for each answer', () => {
    assert.deepEqual(converse(negotiate(auth), ['05 02', '01 00']), {
      sent: ['05 01 02', '01 03 61 6e 6e 01 78'],
      value: undefined,
    })
  })

  it('offers only "none" when it has none', () => {
    assert.deepEqual(converse(negotiate(undefined), ['05 00']), { sent: ['05 01 00'], value: undefined })
  })

  it('refuses a proxy that picks what was not offered', () => {
    assert.throws(() => converse(negotiate(auth), ['05 00']), protocolError(/method is 0x00/))
    assert.throws(() => converse(negotiate(undefined), ['05 02']), protocolError(/method is 0x02/))
    assert.throws(() => converse(negotiate(auth), ['05 ff']), protocolError(/does not take a user name/))
    assert.throws(() => converse(negotiate(undefined), ['05 ff']), protocolError(/does not take a client without one/))
  })

  it('refuses a proxy that is no SOCKS5 proxy', () => {
    assert.throws(() => converse(negotiate(auth), ['48 54']), protocolError(/version is 0x48/))
    assert.throws(() => converse(negotiate(auth), ['05 02', '00 00']), protocolError(/authentication.*version is 0x00/))
  })

  it('knows refused credentials by RFC 1929 and by the reply that tor gives instead', () => {
    for (const answer of ['01 01', '01 ff', '05 01'])
      assert.throws(() => converse(negotiate(auth), ['05 02', answer]), protocolError(/refused the user name/))
  })

  it('refuses credentials that cannot be sent before anything is sent', () => {
    assert.throws(() => negotiate({ username: '', password: 'x' }), RangeError)
    assert.throws(() => negotiate({ username: 'ann', password: '' }), RangeError)
    assert.throws(() => negotiate({ username: 'é'.repeat(128), password: 'x' }), /user name has 256 bytes/)
    assert.throws(() => negotiate({ username: '<torS0X>0', password: 'x' }), /tor reserves/)
    assert.doesNotThrow(() => negotiate({ username: 'a'.repeat(255), password: 'b'.repeat(255) }))
  })
})

/** Without credentials: what is told is about the request alone. */
function asking(command: SocksCommand, earlyData?: Buffer): Handshake<string> {
  return ask(undefined, command, earlyData)
}

function answered<T>(handshake: Handshake<T>, answers: readonly string[], mayFail = false) {
  const { sent, value } = converse(handshake, ['05 00', ...answers], mayFail)
  return { sent: sent.slice(1), value }
}

describe('ask()', () => {
  it('sends a name as a name, and literals as addresses', () => {
    const sent = (host: string) =>
      answered(asking({ ...CONNECT, host }), ['05 00', '00 01', '00 00 00 00', '00 00']).sent[0]
    assert.equal(sent('a.io'), '05 01 00 03 04 61 2e 69 6f 00 50')
    assert.equal(sent('192.0.2.7'), '05 01 00 01 c0 00 02 07 00 50')
    assert.equal(sent('2001:db8::1'), '05 01 00 04 20 01 0d b8 00 00 00 00 00 00 00 00 00 00 00 01 00 50')
    assert.equal(sent('::'), `05 01 00 04 ${'00 '.repeat(16)}00 50`)
    assert.equal(sent('::ffff:192.0.2.7'), '05 01 00 04 00 00 00 00 00 00 00 00 00 00 ff ff c0 00 02 07 00 50')
  })

  it('sends credentials, request and early data in one write, but nothing before the greeting is answered', () => {
    const { sent, value } = converse(ask(auth, { ...CONNECT, host: 'a.io' }, Buffer.from('GET')), [
      ...['05 02', '01 00', '05 00', '00 01', '00 00 00 00', '00 00'],
    ])
    assert.deepEqual(sent, ['05 01 02', '01 03 61 6e 6e 01 78 05 01 00 03 04 61 2e 69 6f 00 50 47 45 54'])
    assert.equal(value, '0.0.0.0')
    assert.throws(() => converse(ask(auth, CONNECT), ['05 02', '01 01']), protocolError(/refused the user name/))
  })

  it('sends early data right behind the request, in one write', () => {
    const handshake = asking({ ...CONNECT, host: 'a.io' }, Buffer.from('GET'))
    assert.deepEqual(answered(handshake, ['05 00', '00 01', '00 00 00 00', '00 00']).sent, [
      '05 01 00 03 04 61 2e 69 6f 00 50 47 45 54',
    ])
  })

  it('returns the address of each type', () => {
    const answer = (bytes: string[]) =>
      answered(asking({ command: 'resolve', host: 'a.io', port: 0 }), ['05 00', ...bytes, '00 00'])
    assert.deepEqual(answer(['00 01', 'c0 00 02 07']), {
      sent: ['05 f0 00 03 04 61 2e 69 6f 00 00'],
      value: '192.0.2.7',
    })
    assert.equal(answer(['00 04', '20 01 0d b8 00 00 00 00 00 00 00 00 00 00 00 01']).value, '2001:db8::1')
    assert.equal(answer(['00 03', '02', '61 62']).value, 'ab')
  })

  it('asks for the name of an address', () => {
    const { sent, value } = answered(asking({ command: 'resolvePtr', host: '192.0.2.7', port: 0 }), [
      ...['05 00', '00 03', '04', '61 2e 69 6f', '00 00'],
    ])
    assert.deepEqual({ sent, value }, { sent: ['05 f1 00 01 c0 00 02 07 00 00'], value: 'a.io' })
  })

  it('keeps every reply code from 01 to FF, with the names of those that have one', () => {
    const names = new Map<number, string>()
    for (let reply = 1; reply <= 0xff; reply++) {
      assert.throws(
        () => answered(asking(CONNECT), [`05 ${reply.toString(16).padStart(2, '0')}`]),
        (error) => {
          assert.ok(error instanceof SocksReplyError)
          assert.equal(error.reply, reply)
          if (error.replyName !== 'unknown') names.set(reply, error.replyName)
          return true
        },
      )
    }
    assert.deepEqual([...names.keys()], [1, 2, 3, 4, 5, 6, 7, 8, 0xf0, 0xf1, 0xf2, 0xf3, 0xf4, 0xf5, 0xf6, 0xf7])
    assert.match(names.get(0xf4) ?? '', /missing client authorization/)
  })

  it('refuses a reply that is not what RFC 1928 allows', () => {
    assert.throws(() => answered(asking(CONNECT), ['04 00']), protocolError(/version is 0x04/))
    assert.throws(() => answered(asking(CONNECT), ['05 00', '01 01']), protocolError(/reserved octet is 0x01/))
    assert.throws(() => answered(asking(CONNECT), ['05 00', '00 02']), protocolError(/address type is 0x02/))
    assert.throws(() => answered(asking(CONNECT), ['05 00', '00 03', '00']), protocolError(/length of a name is 0x00/))
  })

  it('refuses a target that cannot be asked for before anything is sent', () => {
    const bad = (host: string, port = 80) => assert.throws(() => asking({ command: 'connect', host, port }), RangeError)
    for (const host of ['', 'a'.repeat(256), 'a b', 'a\0b', 'a\r\nb', 'bücher.example']) bad(host)
    for (const port of [0, -1, 65_536, 1.5, Number.NaN]) bad('a.io', port)
    bad(`${'a'.repeat(56)}.ONION.`)
    assert.doesNotThrow(() => asking({ ...CONNECT, host: 'a'.repeat(255) }))
  })

  it('ends every conversation with an answer, a refusal or a protocol error, whatever the proxy says', () => {
    fc.assert(
      fc.property(fc.uint8Array({ minLength: 600, maxLength: 600 }), fc.nat(7), (noise, valid) => {
        // Some of the right beginning, so that later stages are reached.
        const script = Buffer.concat([Buffer.from('05020100050000', 'hex').subarray(0, valid), noise])
        let at = 0
        const take = (count: number) => {
          at += count
          return script.subarray(at - count, at)
        }
        try {
          play(ask(auth, CONNECT), take)
        } catch (error) {
          assert.ok(error instanceof SocksReplyError || error instanceof SocksProtocolError, String(error))
        }
        assert.ok(at <= script.length)
      }),
    )
  })
})

describe('addressText()', () => {
  it('is the inverse of how an address is sent', () => {
    fc.assert(
      fc.property(fc.oneof(fc.ipV4(), fc.ipV6()), (host) => {
        const sent = Buffer.from(
          (answered(asking({ ...CONNECT, host }), ['05 01'], true).sent[0] ?? '').replaceAll(' ', ''),
          'hex',
        )
        const text = addressText(sent.subarray(4, -2))
        assert.equal(new URL(`http://${bracket(text)}`).hostname, new URL(`http://${bracket(host)}`).hostname)
      }),
    )
  })
})

/** Plays a handshake whose proxy answers each read with the next of `answers`, and tells what it sent and returned. */
function converse<T>(handshake: Handshake<T>, answers: readonly string[], mayFail = false) {
  const sent: string[] = []
  const left = answers.map((answer) => Buffer.from(answer.replaceAll(' ', ''), 'hex'))
  const take = (count: number) => {
    const answer = left.shift()
    assert.equal(answer?.length, count, 'the handshake asks for another number of bytes')
    return answer
  }
  try {
    const value = play(handshake, take, (bytes) => sent.push(bytes.toString('hex').replace(/..(?=.)/g, '$& ')))
    assert.equal(left.length, 0, 'the handshake leaves an answer unread')
    return { sent, value }
  } catch (error) {
    if (!mayFail) throw error
    return { sent, value: undefined }
  }
}

function play<T>(handshake: Handshake<T>, take: (count: number) => Buffer, onWrite = (_: Buffer) => {}): T {
  let next = handshake.next()
  while (!next.done) {
    if (next.value.type === 'write') {
      onWrite(next.value.bytes)
      next = handshake.next()
    } else next = handshake.next(take(next.value.count))
  }
  return next.value
}

function protocolError(message: RegExp) {
  return (error: unknown) => error instanceof SocksProtocolError && message.test(error.message)
}

function bracket(address: string): string {
  return address.includes(':') ? `[${address}]` : address
}

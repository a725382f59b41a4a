import assert from 'node:assert/strict'
import { describe, it } from 'node:test'
import { ControlClosedError, ControlReplyError, ProtocolError } from '../errors.ts'
import type { CommandSender } from '../reply.ts'
import { ReplyParser } from '../reply-parser.ts'
import { attachStream } from './attach-stream.ts'
import { closeCircuit } from './close-circuit.ts'
import { closeStream } from './close-stream.ts'
import { extendCircuit } from './extend-circuit.ts'
import { getConf } from './get-conf.ts'
import { getInfo, infoLines } from './get-info.ts'
import { mapAddress } from './map-address.ts'
import { addOnionClientAuth, removeOnionClientAuth, viewOnionClientAuth } from './onion-client-auth.ts'
import { protocolInfo } from './protocol-info.ts'
import { resetConf } from './reset-conf.ts'
import { setConf } from './set-conf.ts'
import { setEvents } from './set-events.ts'
import { sendSignal } from './signal.ts'
import { takeOwnership } from './take-ownership.ts'

const signal = new AbortController().signal

/** Gives `replies` in turn, whatever is sent, and remembers what was. */
function scripted(...replies: string[]): CommandSender & { readonly sent: string[] } {
  const sent: string[] = []
  return {
    sent,
    async send(line) {
      sent.push(line)
      const [message] = new ReplyParser().push(Buffer.from(replies.shift() ?? '', 'latin1'))
      if (message === undefined) throw new ControlClosedError('Tor closed the control connection')
      return message
    },
  }
}

describe('request()', () => {
  it('rejects a refusal with its code and text, but without the arguments', async () => {
    const control = scripted('513 Unacceptable option value: no\r\n')
    await assert.rejects(setConf(control, [['HashedControlPassword', 'secret']], signal), (error) => {
      assert.ok(error instanceof ControlReplyError)
      assert.equal(error.message, 'Cannot SETCONF: Tor replied 513 Unacceptable option value: no')
      assert.deepEqual([error.code, error.text, error.isTemporary], [513, 'Unacceptable option value: no', false])
      return true
    })
    await assert.rejects(resetConf(scripted('451 Resource exhausted\r\n'), ['X'], signal), { isTemporary: true })
  })

  it('tells all the refusals of one reply', async () => {
    await assert.rejects(
      getInfo(scripted('552-Unrecognized key "a"\r\n552 Unrecognized key "b"\r\n'), ['a', 'b'], signal),
      {
        code: 552,
        text: 'Unrecognized key "a"; Unrecognized key "b"',
      },
    )
  })
})

describe('getInfo()', () => {
  it('reads values of one line and of many, in any order', async () => {
    const control = scripted('250+b=\r\nx=1\r\n\r\n..\r\n.\r\n250-a=1=2\r\n250-c=\r\n250 OK\r\n')
    assert.deepEqual(await getInfo(control, ['a', 'b', 'c'], signal), { a: '1=2', b: 'x=1\n\n.', c: '' })
    assert.deepEqual(control.sent, ['GETINFO a b c'])
  })

  it('rejects a reply that lacks a key', async () => {
    await assert.rejects(getInfo(scripted('250-a=1\r\n250 OK\r\n'), ['a', 'b'], signal), ProtocolError)
  })

  it('refuses a key that is not one word', async () => {
    await assert.rejects(getInfo(scripted(), ['a b'], signal), TypeError)
  })

  it('splits lines, of which an empty value has none', () => {
    assert.deepEqual(infoLines(''), [])
    assert.deepEqual(infoLines('a\nb'), ['a', 'b'])
  })
})

describe('getConf(), setConf(), resetConf()', () => {
  it('read unset, single and repeated options', async () => {
    const reply =
      '250-ExitNodes\r\n250-EntryNodes=\r\n250-SocksPort=9050\r\n250-SocksPort="unix:/a b" Flag\r\n250 Log="notice \\"x\\""\r\n'
    const values = await getConf(scripted(reply), ['exitnodes', 'EntryNodes', 'SocksPort', 'Log'], signal)
    assert.deepEqual(
      [...values],
      [
        ['ExitNodes', []],
        ['EntryNodes', []],
        ['SocksPort', ['9050', '"unix:/a b" Flag']],
        ['Log', ['notice "x"']],
      ],
    )
  })

  it('quote values, and name an option alone to unset it', async () => {
    const control = scripted('250 OK\r\n', '250 OK\r\n')
    await setConf(
      control,
      [
        ['ExitNodes', '{us}'],
        ['SocksPort', 'unix:"/a\\b" X'],
        ['EntryNodes', null],
      ],
      signal,
    )
    await resetConf(control, ['ExitNodes', 'SocksPort'], signal)
    assert.deepEqual(control.sent, [
      'SETCONF ExitNodes="{us}" SocksPort="unix:\\"/a\\\\b\\" X" EntryNodes',
      'RESETCONF ExitNodes SocksPort',
    ])
  })

  it('refuse to be two commands', async () => {
    await assert.rejects(setConf(scripted(), [['ExitNodes', '{us}\r\nSIGNAL HALT']], signal), TypeError)
    await assert.rejects(setConf(scripted(), [['ExitNodes=x', '1']], signal), TypeError)
  })
})

describe('setEvents()', () => {
  it('subscribes to what there is and tells what is missing', async () => {
    const control = scripted('250-events/names=CIRC STREAM SIGNAL\r\n250 OK\r\n', '250 OK\r\n')
    assert.deepEqual(await setEvents(control, ['CIRC', 'PT_LOG', 'SIGNAL'], signal), {
      subscribed: ['CIRC', 'SIGNAL'],
      missing: ['PT_LOG'],
    })
    assert.deepEqual(control.sent, ['GETINFO events/names', 'SETEVENTS CIRC SIGNAL'])
  })

  it('turns all off', async () => {
    const control = scripted('250-events/names=CIRC\r\n250 OK\r\n', '250 OK\r\n')
    await setEvents(control, [], signal)
    assert.equal(control.sent.at(-1), 'SETEVENTS')
  })
})

describe('mapAddress()', () => {
  it('gives one result for each mapping when the codes are mixed', async () => {
    const control = scripted("512-syntax error: invalid address '@@@'\r\n250 10.202.248.147=bogus1.google.com\r\n")
    const mappings = [
      { from: 'xxx', to: '@@@' },
      { from: '0.0.0.0', to: 'bogus1.google.com' },
    ]
    assert.deepEqual(await mapAddress(control, mappings, signal), [
      { isMapped: false, code: 512, text: "syntax error: invalid address '@@@'" },
      { isMapped: true, from: '10.202.248.147', to: 'bogus1.google.com' },
    ])
    assert.deepEqual(control.sent, ['MAPADDRESS xxx=@@@ 0.0.0.0=bogus1.google.com'])
  })

  it('rejects when the whole command is refused', async () => {
    const mappings = [
      { from: 'a', to: 'b' },
      { from: 'c', to: 'd' },
    ]
    await assert.rejects(mapAddress(scripted('512 Bad arguments\r\n'), mappings, signal), { code: 512 })
    await assert.rejects(mapAddress(scripted('250 a=b\r\n'), mappings, signal), ProtocolError)
  })
})

describe('commands on circuits and streams', () => {
  it('build their lines', async () => {
    const control = scripted(...Array(5).fill('250 OK\r\n'))
    await closeStream(control, '54', signal)
    await closeCircuit(control, '42', {}, signal)
    await closeCircuit(control, '42', { ifUnused: true }, signal)
    await attachStream(control, '54', '42', signal)
    assert.deepEqual(control.sent, [
      'CLOSESTREAM 54 1',
      'CLOSECIRCUIT 42',
      'CLOSECIRCUIT 42 IfUnused',
      'ATTACHSTREAM 54 42',
    ])
    await assert.rejects(closeCircuit(scripted(), '42 IfUnused', {}, signal), TypeError)
  })

  it('extend a circuit, and give its id', async () => {
    const control = scripted('250 EXTENDED 12\r\n', '250 EXTENDED 13 more\r\n', '250 OK\r\n')
    const fingerprint = 'A'.repeat(40)
    assert.equal(await extendCircuit(control, {}, signal), '12')
    assert.equal(await extendCircuit(control, { path: [fingerprint, fingerprint], purpose: 'general' }, signal), '13')
    await assert.rejects(extendCircuit(control, { circuitId: '13', path: [fingerprint] }, signal), ProtocolError)
    assert.deepEqual(control.sent, [
      'EXTENDCIRCUIT 0',
      `EXTENDCIRCUIT 0 $${fingerprint},$${fingerprint} purpose=general`,
      `EXTENDCIRCUIT 13 $${fingerprint}`,
    ])
  })
})

describe('onion client authorization', () => {
  const address = 'a'.repeat(56)

  it('takes every code of success for success', async () => {
    const control = scripted('250 OK\r\n', '251 Replaced\r\n', '252 Registered client and decrypted desc\r\n')
    const key = { address, privateKey: 'MGE+/==' }
    assert.equal(await addOnionClientAuth(control, key, signal), 'added')
    assert.equal(await addOnionClientAuth(control, key, signal), 'replaced')
    assert.equal(await addOnionClientAuth(control, key, signal), 'decrypted')
    assert.equal(control.sent[0], `ONION_CLIENT_AUTH_ADD ${address} x25519:MGE+/==`)
  })

  it('tells whether there was a key to remove', async () => {
    const control = scripted('250 OK\r\n', '251 No credentials\r\n')
    assert.equal(await removeOnionClientAuth(control, address, signal), true)
    assert.equal(await removeOnionClientAuth(control, address, signal), false)
  })

  it('lists addresses, not keys', async () => {
    const reply = `250-ONION_CLIENT_AUTH_VIEW\r\n250-CLIENT ${address} x25519:secret= ClientName=x Flags=Permanent\r\n250-CLIENT ${address} x25519:secret=\r\n250 OK\r\n`
    assert.deepEqual(await viewOnionClientAuth(scripted(reply), signal), [
      { address, isPermanent: true },
      { address, isPermanent: false },
    ])
  })
})

describe('protocolInfo()', () => {
  it('reads escapes and bytes in the path, unknown methods, and lines in any order', async () => {
    const reply =
      '250-PROTOCOLINFO 1\r\n250-VERSION Tor="0.5.0.0-dev"\r\n250-AUTH METHODS=NULL,FUTURE COOKIEFILE="/a \\"b\\"/\\303\\251/\xe9"\r\n250 OK\r\n'
    assert.deepEqual(await protocolInfo(scripted(reply), signal), {
      torVersion: '0.5.0.0-dev',
      methods: ['NULL', 'FUTURE'],
      cookieFile: '/a "b"/\xc3\xa9/\xe9',
    })
  })

  it('makes do with the least', async () => {
    assert.deepEqual(await protocolInfo(scripted('250-PROTOCOLINFO 5\r\n250 OK\r\n'), signal), {
      torVersion: '',
      methods: [],
      cookieFile: undefined,
    })
  })
})

describe('sendSignal() and takeOwnership()', () => {
  it('takes a closed connection for a yes to HALT and SHUTDOWN only', async () => {
    await sendSignal(scripted(), 'HALT', signal)
    await sendSignal(scripted(), 'SHUTDOWN', signal)
    await assert.rejects(sendSignal(scripted(), 'ACTIVE', signal), ControlClosedError)
  })

  it('takes ownership over from the watched process', async () => {
    const control = scripted('250 OK\r\n', '250 OK\r\n')
    await takeOwnership(control, signal)
    assert.deepEqual(control.sent, ['TAKEOWNERSHIP', 'RESETCONF __OwningControllerProcess'])
  })
})

import assert from 'node:assert/strict'
import { describe, it } from 'node:test'
import fc from 'fast-check'
import { ProtocolError } from './errors.ts'
import { DEFAULT_LIMITS, type Message, ReplyParser } from './reply-parser.ts'

/** As tor 0.4.9.11 sent them, except the data blocks, which hold what a block can hold at its worst. */
const REPLIES = [
  '250-PROTOCOLINFO 1\r\n250-AUTH METHODS=COOKIE,SAFECOOKIE COOKIEFILE="/d/control_auth_cookie"\r\n250-VERSION Tor="0.4.9.11"\r\n250 OK\r\n',
  '510 Unrecognized command "FOO"\r\n',
  '552-Unrecognized key "nope"\r\n552 Unrecognized key "nope2"\r\n',
  "512-syntax error: invalid address '@@@'\r\n250 10.202.248.147=bogus1.google.com\r\n",
  '252 Registered client and decrypted desc\r\n',
  '250-status/bootstrap-phase=NOTICE BOOTSTRAP PROGRESS=100 TAG=done SUMMARY="Done"\r\n250 OK\r\n',
  '250+circuit-status=\r\n1 BUILT $A~a\r\n2 BUILT $B~b\r\n.\r\n250 OK\r\n',
  '250+config-text=\r\n\r\n..\r\n...x\r\n.hidden? no\r\n250 OK is data\r\na lone \r in it\r\n\r\n\r\n.\r\n250-config-file=/etc/torrc\r\n250 OK\r\n',
  '250+empty=\r\n.\r\n250 OK\r\n',
  '250-name=\xfc\xff\xe2\x82\r\n250 \r\n',
]
const EVENTS = [
  '650 STATUS_CLIENT NOTICE NOT_ENOUGH_DIR_INFO\r\n',
  '650-CONF_CHANGED\r\n650-ExitNodes=caerSidi\r\n650-ExitPolicy\r\n650 OK\r\n',
  '650+NEWCONSENSUS\r\nr Beaver x\r\n..dot\r\n.\r\n650 OK\r\n',
  '650-CIRC 1000 EXTENDED moria1,moria2 0xBEEF\r\n650-EXTRAMAGIC=99\r\n650 ANONYMITY=high\r\n',
]
const SMALL = { maxLineBytes: 64, maxMessageBytes: 256 }

/** What a parser says to `pieces`: the messages, and the error's message if there was one. */
function parse(pieces: readonly Buffer[], limits = DEFAULT_LIMITS): (Message | string)[] {
  const parser = new ReplyParser(limits)
  const said: (Message | string)[] = []
  try {
    for (const piece of pieces) {
      for (const message of parser.push(piece)) said.push(message)
    }
  } catch (error) {
    assert.ok(error instanceof ProtocolError, String(error))
    said.push(error.message)
  }
  return said
}

function bytes(text: string): Buffer {
  return Buffer.from(text, 'latin1')
}

/** Cuts `whole` at `cuts`, each reduced to a position in it. */
function cut(whole: Buffer, cuts: readonly number[]): Buffer[] {
  const at = cuts.map((position) => position % (whole.length + 1)).sort((a, b) => a - b)
  return [0, ...at].map((start, index) => whole.subarray(start, at[index] ?? whole.length))
}

/** A million in the promise. */
const DAMAGED = Number(process.env.PROMISE_DAMAGED_STREAMS ?? 100_000)

describe('ReplyParser', () => {
  it('reads the lines of a reply with their codes', () => {
    assert.deepEqual(parse([bytes(REPLIES[3]!)]), [
      {
        type: 'reply',
        lines: [
          { code: 512, text: "syntax error: invalid address '@@@'", data: undefined },
          { code: 250, text: '10.202.248.147=bogus1.google.com', data: undefined },
        ],
      },
    ])
  })

  it('unstuffs the dots of a data block and keeps everything else of it', () => {
    assert.deepEqual(parse([bytes(REPLIES[7]!)]), [
      {
        type: 'reply',
        lines: [
          {
            code: 250,
            text: 'config-text=',
            data: ['', '.', '..x', 'hidden? no', '250 OK is data', 'a lone \r in it', '', ''],
          },
          { code: 250, text: 'config-file=/etc/torrc', data: undefined },
          { code: 250, text: 'OK', data: undefined },
        ],
      },
    ])
    assert.deepEqual(parse([bytes(REPLIES[8]!)]), [
      {
        type: 'reply',
        lines: [
          { code: 250, text: 'empty=', data: [] },
          { code: 250, text: 'OK', data: undefined },
        ],
      },
    ])
  })

  it('keeps bytes that are not UTF-8', () => {
    const [message] = parse([bytes(REPLIES[9]!)])
    assert.ok(typeof message === 'object')
    assert.equal(message.lines[0]?.text, 'name=\xfc\xff\xe2\x82')
    assert.equal(message.lines[1]?.text, '')
  })

  it('tells events, of one line or many, from replies', () => {
    const said = parse([bytes(EVENTS.join('') + REPLIES[1])])
    assert.deepEqual(
      said.map((message) => typeof message === 'object' && [message.type, message.lines.map((line) => line.text)]),
      [
        ['event', ['STATUS_CLIENT NOTICE NOT_ENOUGH_DIR_INFO']],
        ['event', ['CONF_CHANGED', 'ExitNodes=caerSidi', 'ExitPolicy', 'OK']],
        ['event', ['NEWCONSENSUS', 'OK']],
        ['event', ['CIRC 1000 EXTENDED moria1,moria2 0xBEEF', 'EXTRAMAGIC=99', 'ANONYMITY=high']],
        ['reply', ['Unrecognized command "FOO"']],
      ],
    )
  })

  it('reads the same whatever the pieces: at every split point, and byte by byte', () => {
    for (const text of [...REPLIES, ...EVENTS]) {
      const whole = bytes(text)
      const expected = parse([whole])
      assert.equal(expected.length, 1)
      for (let at = 0; at <= whole.length; at++) assert.deepEqual(parse(cut(whole, [at])), expected, `${text} at ${at}`)
      assert.deepEqual(parse([...whole].map((byte) => Buffer.of(byte))), expected)
    }
  })

  it('reads the same whatever the pieces: many messages, good and bad, in random pieces', () => {
    const junk = fc.constantFrom(
      'x',
      '250',
      '250 OK\n',
      '650 X\r\n250-a\r\n650 b\r\n',
      'HTTP/1.1 200\r\n',
      '-'.repeat(99),
    )
    const message = fc.oneof({ weight: 9, arbitrary: fc.constantFrom(...REPLIES, ...EVENTS) }, junk)
    fc.assert(
      fc.property(fc.array(message, { maxLength: 12 }), fc.array(fc.nat(), { maxLength: 20 }), (messages, cuts) => {
        const whole = bytes(messages.join(''))
        assert.deepEqual(parse(cut(whole, cuts), SMALL), parse([whole], SMALL))
      }),
    )
  })

  it('gives the same replies and the same events however the two are mixed', () => {
    const mixed = fc.array(fc.constantFrom(...REPLIES, ...EVENTS), { maxLength: 20 })
    fc.assert(
      fc.property(mixed, fc.array(fc.nat(), { maxLength: 20 }), (messages, cuts) => {
        const said = parse(cut(bytes(messages.join('')), cuts))
        const alone = (list: readonly string[]) => messages.filter((text) => list.includes(text))
        const ofType = (type: string) => said.filter((each) => typeof each === 'object' && each.type === type)
        assert.deepEqual(ofType('reply'), parse(alone(REPLIES).map(bytes)))
        assert.deepEqual(ofType('event'), parse(alone(EVENTS).map(bytes)))
      }),
    )
  })

  it('refuses LF without CR, wherever it stands', () => {
    for (const text of [...REPLIES, ...EVENTS]) {
      for (const { index } of text.matchAll(/\r\n/g)) {
        const said = parse([bytes(text.slice(0, index) + text.slice(index + 1))])
        assert.equal(said.at(-1), 'Cannot read from the control connection: a line does not end with CRLF')
      }
    }
  })

  it('refuses a line without a status code, telling how it starts', () => {
    const why = 'Cannot read from the control connection: a line does not start with a status code but with'
    assert.deepEqual(parse([bytes('HTTP/1.1 200 OK\r\n')]), [`${why} "HTTP"`])
    assert.deepEqual(parse([bytes('250\r\n')]), [`${why} "250"`])
    assert.deepEqual(parse([bytes('250~OK\r\n')]), [`${why} "250~"`])
    assert.deepEqual(parse([bytes('\r\n')]), [`${why} ""`])
  })

  it('refuses an event inside a reply and a reply inside an event', () => {
    const why = 'Cannot read from the control connection: a reply and an event are mixed'
    assert.deepEqual(parse([bytes('250-a=1\r\n650 SIGNAL NEWNYM\r\n250 OK\r\n')]), [why])
    assert.deepEqual(parse([bytes('650-CONF_CHANGED\r\n250 OK\r\n')]), [why])
  })

  it('gives what came before the fault, then stays faulty', () => {
    const parser = new ReplyParser()
    const messages = parser.push(bytes('250 OK\r\nrubbish\r\n250 OK\r\n'))
    assert.equal(messages.next().value?.type, 'reply')
    assert.throws(() => messages.next(), ProtocolError)
    assert.throws(() => parser.push(bytes('250 OK\r\n')).next(), ProtocolError)
  })

  it('keeps no line and no message beyond its limits, complete or not', () => {
    const longest = `250 ${'x'.repeat(SMALL.maxLineBytes - 5)}\r\n`
    const tooLong = ['Cannot read from the control connection: a line is longer than 64 bytes']
    assert.equal(parse([bytes(longest)], SMALL).length, 1)
    assert.equal(typeof parse([bytes(longest)], SMALL)[0], 'object')
    assert.deepEqual(parse([bytes(longest.replace('x', 'xx'))], SMALL), tooLong)
    assert.deepEqual(parse([bytes('x'.repeat(65))], SMALL), tooLong)

    const tooMuch = ['Cannot read from the control connection: a message is longer than 256 bytes']
    assert.deepEqual(parse([bytes('250-a\r\n'.repeat(100))], SMALL), tooMuch)
    assert.deepEqual(parse([bytes(`250+a\r\n${'\r\n'.repeat(200)}`)], SMALL), tooMuch)
    assert.equal(parse([bytes('250 OK\r\n'.repeat(100))], SMALL).length, 100)
  })

  it('reads a reply of several megabytes', () => {
    const lines = Array.from({ length: 100_000 }, (_, index) => `r relay${index} ${'A'.repeat(40)}`)
    const whole = bytes(`250+ns/all=\r\n${lines.join('\r\n')}\r\n.\r\n250 OK\r\n`)
    const [message] = parse(
      cut(
        whole,
        Array.from({ length: 100 }, (_, index) => index * 65_536),
      ),
    )
    assert.ok(typeof message === 'object')
    assert.deepEqual(message.lines[0]?.data, lines)
  })

  it(`is total: ${DAMAGED} damaged streams give messages or a ProtocolError, whatever the pieces`, () => {
    const damage = fc.record({
      base: fc.array(fc.constantFrom(...REPLIES, ...EVENTS), { minLength: 1, maxLength: 3 }),
      edits: fc.array(fc.tuple(fc.nat(), fc.nat(3), fc.constantFrom(...'\r\n\r\n.+- 2650"\\\0\xff')), {
        minLength: 1,
        maxLength: 4,
      }),
      cutAt: fc.nat(),
    })
    fc.assert(
      fc.property(damage, ({ base, edits, cutAt }) => {
        let text = base.join('')
        for (const [where, remove, insert] of edits) {
          const at = where % (text.length + 1)
          text = text.slice(0, at) + insert + text.slice(at + remove)
        }
        const whole = bytes(text)
        assert.deepEqual(parse(cut(whole, [cutAt]), SMALL), parse([whole], SMALL))
      }),
      { numRuns: DAMAGED },
    )
  })
})

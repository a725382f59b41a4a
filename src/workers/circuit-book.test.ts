import assert from 'node:assert/strict'
import { describe, it } from 'node:test'
import fc from 'fast-check'
import { parseEvent } from '../tor/control/events/event.ts'
import { CircuitBook } from './circuit-book.ts'

const PATH = ['A', 'B', 'C'].map((digit) => `$${digit.repeat(40)}~relay${digit}`).join(',')

/** What a book has read: events in Tor's own words, one a line, `<path>` for a path and `<general>` for a circuit to an exit. */
function bookOf(transcript: string): CircuitBook {
  const book = new CircuitBook()
  read(book, transcript)
  return book
}

function read(book: CircuitBook, transcript: string): void {
  for (const line of transcript.trim().split('\n')) {
    const text = line.trim().replace('<path>', PATH).replace('<general>', 'BUILD_FLAGS=NEED_CAPACITY PURPOSE=GENERAL')
    book.handle(parseEvent([{ code: 650, text, data: undefined }]))
  }
}

describe('CircuitBook', () => {
  it('takes a circuit for clean from when it is built until a stream is put on it', () => {
    const book = bookOf('CIRC 4 LAUNCHED <general>')
    assert.deepEqual([book.clean, book.coming], [0, 1])
    read(book, 'CIRC 4 BUILT <path> <general>')
    assert.deepEqual([book.clean, book.coming], [1, 0])
    read(book, 'STREAM 14 NEW 0 a.test:80 SOCKS_USERNAME="u1" PURPOSE=USER')
    assert.deepEqual([book.clean, book.has('u1')], [1, false])
    read(book, 'STREAM 14 SENTCONNECT 4 a.test:80 SOCKS_USERNAME="u1"')
    assert.deepEqual([book.clean, book.has('u1'), book.isTaken('4')], [0, true, true])
  })

  it("counts neither Tor's own circuits nor those that it builds for an identity", () => {
    const book = bookOf(`
      CIRC 1 BUILT <path> BUILD_FLAGS=ONEHOP_TUNNEL,IS_INTERNAL PURPOSE=GENERAL
      CIRC 2 BUILT <path> BUILD_FLAGS=IS_INTERNAL PURPOSE=HS_VANGUARDS
      CIRC 3 BUILT <path> PURPOSE=CONFLUX_LINKED CONFLUX_ID=F00D
      CIRC 7 LAUNCHED <general>
      CIRC 7 EXTENDED <path> <general> SOCKS_USERNAME="u4" SOCKS_PASSWORD="x"`)
    assert.deepEqual([book.clean, book.coming, book.has('u4')], [0, 0, false])
    read(book, 'CIRC 7 BUILT <path> <general> SOCKS_USERNAME="u4" SOCKS_PASSWORD="x"')
    assert.deepEqual([book.clean, book.has('u4')], [0, true])
  })

  it('counts no circuit that Tor has taken for itself, or given up for being slow', () => {
    const book = bookOf(`
      CIRC 4 BUILT <path> <general>
      CIRC 5 LAUNCHED <general>
      CIRC_MINOR 4 PURPOSE_CHANGED <path> PURPOSE=PATH_BIAS_TESTING OLD_PURPOSE=GENERAL
      CIRC_MINOR 5 PURPOSE_CHANGED <path> PURPOSE=MEASURE_TIMEOUT OLD_PURPOSE=GENERAL`)
    assert.deepEqual([book.clean, book.coming], [0, 0])
    read(book, 'CIRC 5 BUILT <path> PURPOSE=MEASURE_TIMEOUT')
    assert.equal(book.clean, 0)
  })

  it('counts a circuit that is extended for somebody once more when it is built again', () => {
    const book = bookOf('CIRC 4 BUILT <path> <general>\nCIRC 4 EXTENDED <path> <general> SOCKS_USERNAME="u"')
    assert.deepEqual([book.clean, book.has('u')], [0, false])
    read(book, 'CIRC 4 BUILT <path> <general> SOCKS_USERNAME="u"')
    assert.deepEqual([book.clean, book.has('u')], [0, true])
  })

  it('takes a circuit that carries streams of nobody in particular for no clean one', () => {
    const book = bookOf('CIRC 4 BUILT <path> <general>\nSTREAM 1 SENTCONNECT 4 a.test:80 CLIENT_PROTOCOL=SOCKS5')
    assert.deepEqual([book.clean, book.isTaken('4')], [0, false])
  })

  it('knows an identity by its source address, which only the first event of a stream tells', () => {
    const book = bookOf(`
      CIRC 4 BUILT <path> <general>
      STREAM 1 NEW 0 10.128.0.9:80 SOURCE_ADDR=10.201.1.16:20001 PURPOSE=USER CLIENT_PROTOCOL=TRANS
      STREAM 1 SENTCONNECT 4 10.128.0.9:80 CLIENT_PROTOCOL=TRANS`)
    assert.deepEqual([book.has('10.201.1.16'), book.clean], [true, 0])
    assert.deepEqual(book.idleOf('10.201.1.16'), [])
    read(book, 'STREAM 1 CLOSED 4 10.128.0.9:80 CLIENT_PROTOCOL=TRANS')
    assert.deepEqual(book.idleOf('10.201.1.16'), ['4'])
  })

  it('gives up the circuits of before when new ones are ordered, and keeps the clean ones', () => {
    const book = bookOf(`
      CIRC 4 BUILT <path> <general>
      CIRC 5 BUILT <path> <general>
      STREAM 1 SENTCONNECT 4 a.test:80 SOCKS_USERNAME="u"
      SIGNAL NEWNYM`)
    assert.deepEqual([book.has('u'), book.clean], [false, 1])
    read(book, 'STREAM 2 SENTCONNECT 5 a.test:80 SOCKS_USERNAME="u"')
    assert.deepEqual([book.has('u'), book.clean], [true, 0])
  })

  it("tells which circuits are an identity's alone and idle, with every leg of a Conflux set", () => {
    const book = bookOf(`
      CIRC 4 BUILT <path> <general>
      CIRC 5 BUILT <path> PURPOSE=CONFLUX_LINKED CONFLUX_ID=F00D
      CIRC 6 BUILT <path> PURPOSE=CONFLUX_LINKED CONFLUX_ID=F00D
      CIRC 7 BUILT <path> <general>
      STREAM 1 SENTCONNECT 4 a.test:80 SOCKS_USERNAME="u"
      STREAM 2 SENTCONNECT 5 a.test:80 SOCKS_USERNAME="u"
      STREAM 3 SENTCONNECT 7 a.test:80 SOCKS_USERNAME="u"
      STREAM 4 SENTCONNECT 7 a.test:80 SOCKS_USERNAME="other"`)
    assert.deepEqual([book.idleOf('u'), book.isBusy('u')], [[], true])
    read(book, 'STREAM 1 CLOSED 4 a.test:80\nSTREAM 2 DETACHED 5 a.test:80\nSTREAM 3 CLOSED 7 a.test:80')
    assert.deepEqual(book.idleOf('u'), ['4', '5', '6'])
    assert.deepEqual(book.idleOf('nobody'), [])
  })

  it('leaves a Conflux set alone as long as one of its legs carries a stream', () => {
    const book = bookOf(`
      CIRC 5 BUILT <path> PURPOSE=CONFLUX_LINKED CONFLUX_ID=F00D
      CIRC 6 BUILT <path> PURPOSE=CONFLUX_LINKED CONFLUX_ID=F00D
      STREAM 1 SENTCONNECT 5 a.test:80 SOCKS_USERNAME="u"
      STREAM 2 SENTCONNECT 6 a.test:80 SOCKS_USERNAME="u"
      STREAM 1 CLOSED 5 a.test:80`)
    assert.deepEqual([book.idleOf('u'), book.isBusy('u')], [[], true])
    read(book, 'STREAM 2 CLOSED 6 a.test:80')
    assert.deepEqual(book.idleOf('u'), ['5', '6'])
  })

  it("takes a circuit that was begun for one identity and carries only another for that one's", () => {
    const book = bookOf(`
      CIRC 4 LAUNCHED <general>
      CIRC 4 EXTENDED <path> <general> SOCKS_USERNAME="first"
      CIRC 4 BUILT <path> <general> SOCKS_USERNAME="first"`)
    // Its stream has left; Tor may be giving the circuit to somebody else just now.
    assert.deepEqual(book.idleOf('first'), [])
    read(book, 'STREAM 1 SENTCONNECT 4 a.test:80 SOCKS_USERNAME="second"')
    assert.deepEqual([book.has('first'), book.has('second')], [false, true])
    read(book, 'STREAM 1 CLOSED 4 a.test:80 SOCKS_USERNAME="second"')
    assert.deepEqual([book.idleOf('first'), book.idleOf('second')], [[], ['4']])
  })

  it('counts what it has told before, whatever comes in whatever order, and forgets what is gone', () => {
    const circuits = fc.nat(5).map(String)
    const event = fc.oneof(
      fc.tuple(circuits, fc.constantFrom('LAUNCHED', 'EXTENDED', 'BUILT', 'CLOSED', 'FAILED')).map(([id, status]) => {
        return `CIRC ${id} ${status} <path> <general>`
      }),
      fc
        .tuple(fc.nat(5), fc.constantFrom('SENTCONNECT', 'DETACHED', 'CLOSED'), circuits, fc.nat(2))
        .map(([id, status, circuit, user]) => `STREAM ${id} ${status} ${circuit} a.test:80 SOCKS_USERNAME="u${user}"`),
    )
    fc.assert(
      fc.property(fc.array(event, { maxLength: 80 }), (events) => {
        const book = new CircuitBook()
        for (const text of events) {
          read(book, text)
          assert.ok(book.clean + book.coming <= 6)
        }
        for (let id = 0; id < 6; id++) read(book, `CIRC ${id} CLOSED <path> <general>`)
        assert.deepEqual([book.clean, book.coming], [0, 0])
        for (const user of ['u0', 'u1', 'u2'])
          assert.deepEqual([book.has(user), book.isBusy(user), book.idleOf(user)], [false, false, []])
      }),
    )
  })
})

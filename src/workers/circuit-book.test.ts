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

  it('knows after a reconnect what it would know if it had never been away, whenever that is', () => {
    const users = ['u0', 'u1', 'u2']
    const step = fc.record({
      circuit: fc.integer({ min: 1, max: 6 }),
      deed: fc.constantFrom('launch', 'build', 'close', ...users),
    })
    fc.assert(
      fc.property(fc.array(step, { maxLength: 60 }), fc.nat(30), fc.nat(10), (steps, subscribedAt, later) => {
        // Tor as it is, and a control connection that hears nothing until it has subscribed, and then asks for all circuits.
        const tor = new ModelTor()
        const book = new CircuitBook()
        for (const [index, each] of steps.entries()) {
          const events = tor.does(each.circuit, each.deed)
          if (index >= subscribedAt) for (const text of events) read(book, text)
          if (index === subscribedAt + later) for (const circuit of tor.snapshot()) book.adopt(circuit)
        }
        // At the latest now.
        if (steps.length <= subscribedAt + later) for (const circuit of tor.snapshot()) book.adopt(circuit)
        assert.deepEqual(
          [book.clean, ...users.map((user) => book.has(user))],
          [tor.clean, ...users.map((user) => tor.has(user))],
        )
      }),
      { numRuns: 5_000 },
    )
  })
})

/** The circuits of a Tor, and what it says when something becomes of them. */
class ModelTor {
  readonly #circuits = new Map<number, { isBuilt: boolean; user: string | undefined }>()
  #streams = 0

  get clean(): number {
    return [...this.#circuits.values()].filter(({ isBuilt, user }) => isBuilt && user === undefined).length
  }

  has(user: string): boolean {
    return [...this.#circuits.values()].some((circuit) => circuit.isBuilt && circuit.user === user)
  }

  /** `deed`: what becomes of the circuit, or the user whose stream is put on it; nothing when that cannot be. */
  does(id: number, deed: string): readonly string[] {
    const circuit = this.#circuits.get(id)
    switch (deed) {
      case 'launch':
        if (circuit !== undefined) return []
        this.#circuits.set(id, { isBuilt: false, user: undefined })
        return [`CIRC ${id} LAUNCHED <general>`]
      case 'build':
        if (circuit === undefined || circuit.isBuilt) return []
        circuit.isBuilt = true
        return [`CIRC ${id} BUILT <path> <general>`]
      case 'close':
        return this.#circuits.delete(id) ? [`CIRC ${id} CLOSED <path> <general> REASON=FINISHED`] : []
      default: {
        if (!circuit?.isBuilt || (circuit.user ?? deed) !== deed) return []
        circuit.user = deed
        const stream = this.#streams++
        return ['NEW 0', `SENTCONNECT ${id}`, `SUCCEEDED ${id}`].map(
          (status) => `STREAM ${stream} ${status} a.test:80 SOCKS_USERNAME="${deed}" PURPOSE=USER`,
        )
      }
    }
  }

  /** `GETINFO circuit-status`. */
  snapshot() {
    return [...this.#circuits].map(([id, { isBuilt, user }]) => {
      const whose = user === undefined ? '' : ` SOCKS_USERNAME="${user}" SOCKS_PASSWORD="p"`
      const text = isBuilt ? `CIRC ${id} BUILT ${PATH}` : `CIRC ${id} LAUNCHED`
      const event = parseEvent([
        { code: 650, text: `${text} BUILD_FLAGS=NEED_CAPACITY PURPOSE=GENERAL${whose}`, data: undefined },
      ])
      assert.ok(event.type === 'CIRC')
      return event
    })
  }
}

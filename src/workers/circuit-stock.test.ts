import assert from 'node:assert/strict'
import { describe, it, type TestContext } from 'node:test'
import { CbtorError, codeOf } from '../domain/errors.ts'
import { FakeClock } from '../lib/fake-clock.ts'
import { seededRandom } from '../lib/random.ts'
import { TorControl } from '../tor/control/client.ts'
import { FakeTor } from '../tor/control/fake-tor.ts'
import { type BudgetPolicy, CircuitBudget, UNLIMITED } from './circuit-budget.ts'
import { STOCK_POLICY, type StockPolicy } from './circuit-stock.ts'
import { ControlWatch } from './control-watch.ts'
import type { DriverEvent } from './driver.ts'

const GUARD = 'A'.repeat(40)
const PATH = [GUARD, 'B'.repeat(40), 'C'.repeat(40)].map((fingerprint) => `$${fingerprint}~relay`).join(',')
const GENERAL = 'BUILD_FLAGS=NEED_CAPACITY PURPOSE=GENERAL'
const never = new AbortController().signal

interface Setting {
  readonly policy?: Partial<StockPolicy>
  readonly budget?: BudgetPolicy
  /** Lines of GETINFO circuit-status at the beginning; one clean circuit, unless told. */
  readonly circuits?: readonly string[]
}

/** A Tor that launches circuits when told to, and builds them when the test says so; and the watch over it. */
async function stockWith(
  t: TestContext,
  { policy, budget = UNLIMITED, circuits = [`1 BUILT ${PATH} ${GENERAL}`] }: Setting = {},
) {
  let isSilent = false
  let refusal: string | undefined
  let newest = 100
  const coming: number[] = []
  const tor = new FakeTor((line) => {
    if (isSilent) return undefined
    if (line === 'PROTOCOLINFO 1') return '250-AUTH METHODS=NULL\r\n250-VERSION Tor="0.4.9.11"\r\n250 OK\r\n'
    if (line === 'GETINFO events/names') return '250-events/names=CIRC CIRC_MINOR STREAM SIGNAL\r\n250 OK\r\n'
    if (line === 'GETINFO version') return '250-version=0.4.9.11\r\n250 OK\r\n'
    if (line === 'GETINFO circuit-status')
      return `250+circuit-status=\r\n${circuits.map((circuit) => `${circuit}\r\n`).join('')}.\r\n250 OK\r\n`
    if (!line.startsWith('EXTENDCIRCUIT 0')) return '250 OK\r\n'
    if (refusal !== undefined) return refusal
    coming.push(++newest)
    return `250 EXTENDED ${newest}\r\n650 CIRC ${newest} LAUNCHED ${GENERAL}\r\n650 CIRC ${newest} EXTENDED $${GUARD}~relay ${GENERAL}\r\n`
  })
  const control = await TorControl.over(tor.stream, { method: 'owned-socket' }, {}, t.signal)
  t.after(() => control[Symbol.asyncDispose]())
  const clock = new FakeClock()
  const events: DriverEvent[] = []
  const watch = await ControlWatch.create(
    control,
    {
      ...{ worker: 'tor01', clock, random: seededRandom(1), onEvent: (event) => events.push(event) },
      circuits: { budget: new CircuitBudget(clock, budget), policy: { ...STOCK_POLICY, stock: 0, ...policy } },
    },
    t.signal,
  )
  const tell = async (...lines: string[]) => {
    for (const line of lines) tor.send(`650 ${line}\r\n`)
    await settled()
  }
  return {
    ...{ watch, stock: watch.stock, clock, events, tell, tor },
    received: (order: string) => tor.received.filter((line) => line.startsWith(order)),
    ordered: () => tor.received.filter((line) => line.startsWith('EXTENDCIRCUIT')).length,
    coming: () => coming.length,
    /** What becomes of the circuits that are under way. */
    async become(status: 'BUILT' | 'FAILED', count = coming.length) {
      const ids = coming.splice(0, count)
      await tell(...ids.map((id) => `CIRC ${id} ${status} ${PATH} ${GENERAL}`))
    },
    async connect(user: string, circuit: number, stream = Number(circuit)) {
      await tell(`STREAM ${stream} SENTCONNECT ${circuit} a.test:80 SOCKS_USERNAME="${user}"`)
    },
    silence(on: boolean) {
      isSilent = on
    },
    refuse(reply: string | undefined) {
      refusal = reply
    },
  }
}

/** Lets everything happen that can happen by itself. */
async function settled(): Promise<void> {
  for (let turn = 0; turn < 20; turn++) await new Promise((resolve) => setImmediate(resolve))
}

/** What has become of a ticket so far. */
function fateOf(ticket: Promise<Disposable>) {
  const fate = { state: 'waiting', error: undefined as unknown }
  ticket.then(
    () => {
      fate.state = 'gone'
    },
    (error: unknown) => {
      fate.state = 'refused'
      fate.error = error
    },
  )
  return fate
}

describe('CircuitStock', { timeout: 10_000 }, () => {
  it('lets a new identity go when there is a circuit for it, and has one built for the next', async (t) => {
    const { stock, ordered, become, clock } = await stockWith(t)
    const first = fateOf(stock.take('alice', 'circuit', never))
    const second = fateOf(stock.take('bob', 'circuit', never))
    await settled()
    assert.deepEqual([first.state, second.state, ordered()], ['gone', 'waiting', 1])
    await become('BUILT')
    assert.equal(second.state, 'gone')
    await clock.advance(1_000)
    assert.equal(clock.pending, 0)
  })

  it('keeps its stock, by use, also of circuits that end', async (t) => {
    const { stock, ordered, become, connect, tell } = await stockWith(t, { policy: { stock: 3 } })
    await tell('SIGNAL CLEARDNSCACHE', 'CIRC 9 LAUNCHED BUILD_FLAGS=IS_INTERNAL PURPOSE=GENERAL')
    await tell('CIRC 9 CLOSED BUILD_FLAGS=IS_INTERNAL PURPOSE=GENERAL')
    assert.equal(ordered(), 2)
    await become('BUILT')
    const ticket = await stock.take('alice', 'circuit', never)
    await settled()
    assert.equal(ordered(), 3, 'one is spoken for')
    await connect('alice', 1)
    ticket[Symbol.dispose]()
    assert.equal(ordered(), 3)
    await become('BUILT')
    assert.equal(stock.available, 3)
    await tell(`CIRC 101 CLOSED ${PATH} ${GENERAL}`)
    assert.equal(ordered(), 4)
  })

  it('keeps to the budget under a thousand fresh identities of many callers, and starves none for a greedy one', async (t) => {
    const budget = { rate: 2, burst: 4 }
    const { stock, ordered, become, clock } = await stockWith(t, { budget, circuits: [`1 BUILT ${PATH} ${GENERAL}`] })
    const fates: Record<string, ReturnType<typeof fateOf>[]> = { greedy: [], modest: [] }
    for (let second = 0; second < 30; second++) {
      // A caller with 20 identities a second, and one with a circuit's worth in every two seconds.
      for (let n = 0; n < 20; n++) fates.greedy?.push(fateOf(stock.take(`g${second}-${n}`, 'circuit', never, 'greedy')))
      if (second % 2 === 0) fates.modest?.push(fateOf(stock.take(`m${second}`, 'circuit', never, 'modest')))
      await settled()
      for (let part = 0; part < 4; part++) {
        await clock.advance(250)
        await become('BUILT')
      }
      assert.ok(ordered() <= budget.burst + budget.rate * (second + 1), `${ordered()} circuits in ${second + 1} s`)
    }
    const count = (who: string, state: string) => fates[who]?.filter((fate) => fate.state === state).length ?? 0
    assert.deepEqual([count('modest', 'refused'), count('modest', 'gone')], [0, 15])
    assert.ok(count('greedy', 'gone') >= 40, `${count('greedy', 'gone')} of the greedy one`)
    assert.ok(count('greedy', 'refused') > 400, `${count('greedy', 'refused')} refused`)
  })

  it('has room for who waits for little, however many wait of another', async (t) => {
    const { stock } = await stockWith(t, { policy: { maxWaiting: 10, maxBuilding: 1 } })
    for (let n = 0; n < 20; n++) fateOf(stock.take(`g${n}`, 'circuit', never, 'greedy'))
    const refused = fateOf(stock.take('g20', 'circuit', never, 'greedy'))
    const other = fateOf(stock.take('m', 'circuit', never, 'modest'))
    await settled()
    assert.deepEqual([codeOf(refused.error), other.state], ['overloaded', 'waiting'])
  })

  it('has more built for all who wait, but never more at once than it may', async (t) => {
    const { stock, ordered, become } = await stockWith(t, { policy: { maxBuilding: 4 } })
    const fates = Array.from({ length: 8 }, (_, n) => fateOf(stock.take(`user${n}`, 'circuit', never)))
    await settled()
    assert.equal(ordered(), 4)
    await become('BUILT', 2)
    assert.equal(ordered(), 6)
    await become('BUILT')
    await become('BUILT')
    assert.deepEqual(
      fates.map(({ state }) => state),
      Array.from(fates, () => 'gone'),
    )
    assert.equal(ordered(), 7)
  })

  it('makes no identity wait that has a circuit, and gives all streams of a new one a place together', async (t) => {
    const { stock, become, connect, ordered, tell } = await stockWith(t)
    await connect('alice', 1)
    await stock.take('alice', 'circuit', never)
    const fates = [1, 2, 3].map(() => fateOf(stock.take('bob', 'circuit', never)))
    await settled()
    assert.deepEqual([fates.map(({ state }) => state).join(), ordered()], ['waiting,waiting,waiting', 1])
    await become('BUILT')
    assert.equal(fates.map(({ state }) => state).join(), 'gone,gone,gone')
    // Now its circuit is from before.
    await tell('SIGNAL NEWNYM')
    assert.equal(fateOf(stock.take('alice', 'circuit', never)).state, 'waiting')
    await settled()
    assert.equal(ordered(), 2)
  })

  it('gives what was not used to the next, and nothing to those who have left', async (t) => {
    const { stock, ordered } = await stockWith(t)
    const ticket = await stock.take('alice', 'circuit', never)
    const patience = new AbortController()
    const left = fateOf(stock.take('bob', 'circuit', patience.signal))
    const next = fateOf(stock.take('carol', 'circuit', never))
    await settled()
    patience.abort(new Error('the client left'))
    await settled()
    assert.match(String(left.error), /the client left/)
    ticket[Symbol.dispose]()
    ticket[Symbol.dispose]()
    await settled()
    assert.deepEqual([next.state, stock.available, ordered()], ['gone', 0, 2])
  })

  it('refuses those for whom there will be no budget in time, at once, and says when to come again', async (t) => {
    const { stock, clock, ordered, become } = await stockWith(t, { budget: { rate: 0.5, burst: 2 } })
    const fates = Array.from({ length: 8 }, (_, n) => fateOf(stock.take(`user${n}`, 'circuit', never)))
    await settled()
    assert.equal(fates.map(({ state }) => state).join(), 'gone,waiting,waiting,waiting,waiting,refused,refused,refused')
    for (const { error } of fates.slice(5)) {
      assert.ok(error instanceof CbtorError && error.code === 'overloaded')
      assert.ok((error.retryAfterMs ?? 0) >= 6_000)
    }
    for (let n = 0; n < 5; n++) {
      await become('BUILT')
      await clock.advance(1_000)
    }
    assert.equal(fates.map(({ state }) => state).join(), 'gone,gone,gone,gone,gone,refused,refused,refused')
    assert.equal(ordered(), 4)
  })

  it('refuses one whose budget others have taken meanwhile when its time is up', async (t) => {
    const { stock, clock, tell } = await stockWith(t, { budget: { rate: 0.5, burst: 1 } })
    const [, , last] = ['alice', 'bob', 'carol'].map((user) => fateOf(stock.take(user, 'circuit', never)))
    await tell(...[21, 22, 23].map((id) => `CIRC ${id} LAUNCHED ${GENERAL}`))
    await tell(...[21, 22, 23].map((id) => `CIRC ${id} EXTENDED $${GUARD}~relay ${GENERAL}`))
    await tell(...[21, 22, 23].map((id) => `CIRC ${id} FAILED $${GUARD}~relay ${GENERAL} REASON=DESTROYED`))
    await clock.advance(4_999)
    assert.equal(last?.state, 'waiting')
    await clock.advance(1)
    assert.equal(codeOf(last?.error), 'overloaded')
  })

  it('takes nothing for circuits that never got to a guard, and is never in debt for longer than anybody waits', async (t) => {
    const { stock, tell, clock } = await stockWith(t, { budget: { rate: 2, burst: 60 } })
    const outage = Array.from({ length: 200 }, (_, n) => 1_000 + n)
    await tell(...outage.map((id) => `CIRC ${id} LAUNCHED ${GENERAL}`))
    const users = Array.from({ length: 30 }, (_, n) => fateOf(stock.take(`user${n}`, 'budget', never)))
    await settled()
    assert.deepEqual([...new Set(users.map(({ state }) => state))], ['gone'])
    await tell(...outage.map((id) => `CIRC ${id} FAILED ${GENERAL} REASON=CHANNEL_CLOSED`))
    await tell(...outage.map((id) => `CIRC ${id + 1_000} LAUNCHED ${GENERAL}`))
    await tell(...outage.map((id) => `CIRC ${id + 1_000} EXTENDED $${GUARD}~relay ${GENERAL}`))
    const late = fateOf(stock.take('late', 'budget', never))
    await clock.advance(4_999)
    assert.equal(late.state, 'gone')
  })

  it('has the circuits that Tor launches by itself come out of the same budget', async (t) => {
    const { stock, tell, ordered, clock } = await stockWith(t, { budget: { rate: 1, burst: 3 } })
    await tell(...[21, 22, 23].map((id) => `CIRC ${id} LAUNCHED ${GENERAL}`))
    await tell(...[21, 22, 23].map((id) => `CIRC ${id} EXTENDED $${GUARD}~relay ${GENERAL}`))
    for (let n = 0; n < 6; n++) fateOf(stock.take(`user${n}`, 'circuit', never))
    await settled()
    assert.equal(ordered(), 0)
    await clock.advance(2_000)
    await settled()
    assert.equal(ordered(), 2)
  })

  it('lets a stream for which Tor will build a circuit of its own go when there is budget for that', async (t) => {
    const { stock, clock, ordered, tell } = await stockWith(t, { budget: { rate: 0.5, burst: 1 } })
    const first = fateOf(stock.take('choosy', 'budget', never))
    const second = fateOf(stock.take('choosy too', 'budget', never))
    await settled()
    assert.deepEqual([first.state, second.state, ordered()], ['gone', 'waiting', 0])
    await tell(
      `CIRC 30 LAUNCHED ${GENERAL}`,
      `CIRC 30 BUILT ${PATH} ${GENERAL} SOCKS_USERNAME="choosy"`,
      'STREAM 3 SENTCONNECT 30 a.test:80 SOCKS_USERNAME="choosy"',
    )
    await clock.advance(1_999)
    assert.equal(second.state, 'waiting')
    await clock.advance(1)
    assert.equal(second.state, 'gone')
  })

  it('lets everybody go when the control port is silent, and takes up its work when it is heard again', async (t) => {
    const { stock, clock, silence, tell, ordered } = await stockWith(t, { budget: { rate: 1, burst: 1 } })
    silence(true)
    await stock.take('first', 'circuit', never)
    const waiting = fateOf(stock.take('second', 'circuit', never))
    await clock.advance(999)
    assert.equal(waiting.state, 'waiting')
    await clock.advance(1)
    assert.equal(waiting.state, 'gone')
    for (let n = 0; n < 50; n++) await stock.take(`user${n}`, 'circuit', never)
    assert.equal(ordered(), 1, 'it is asked no more')
    silence(false)
    await tell('SIGNAL CLEARDNSCACHE')
    assert.equal(fateOf(stock.take('again', 'circuit', never)).state, 'waiting')
  })

  it('lets a stream go to Tor as it is when no circuit comes in time', async (t) => {
    const { stock, clock } = await stockWith(t)
    await stock.take('first', 'circuit', never)
    const fates = [1, 2].map(() => fateOf(stock.take('second', 'circuit', never)))
    await clock.advance(4_999)
    assert.equal(fates[0]?.state, 'waiting')
    await clock.advance(1)
    assert.equal(fates.map(({ state }) => state).join(), 'gone,gone')
  })

  it('holds nobody up while Tor has not built a circuit yet, nor when its control connection is gone', async (t) => {
    const { stock, tell, tor } = await stockWith(t, { circuits: [] })
    await stock.take('early', 'circuit', never)
    await tell(`CIRC 1 BUILT ${PATH} ${GENERAL}`)
    await stock.take('first', 'circuit', never)
    const waiting = fateOf(stock.take('second', 'circuit', never))
    tor.end()
    await settled()
    assert.equal(waiting.state, 'gone')
    await stock.take('third', 'circuit', never)
  })

  it('builds one at a time, and ever more slowly, while builds fail', async (t) => {
    const { stock, clock, ordered, become, coming } = await stockWith(t, { policy: { stock: 3, waitMs: 3_600_000 } })
    fateOf(stock.take('first', 'circuit', never))
    await settled()
    const orders: number[] = []
    for (let minute = 0; minute < 10; minute++) {
      const before = ordered()
      for (let second = 0; second < 60; second++) {
        await become('FAILED')
        await clock.advance(1_000)
        assert.ok(coming() <= 3)
      }
      orders.push(ordered() - before)
    }
    assert.ok((orders.at(0) ?? 0) < 20, `${orders}`)
    assert.ok((orders.at(-1) ?? 0) <= 6, `${orders}`)
    await clock.advance(60_000)
    await become('BUILT')
    assert.equal(coming(), 2, 'one that succeeds ends it')
  })

  it('takes a refusal for a failure, and asks no storm of orders', async (t) => {
    const { stock, clock, ordered, refuse } = await stockWith(t, { policy: { stock: 3, waitMs: 3_600_000 } })
    refuse("551 Couldn't start circuit\r\n")
    fateOf(stock.take('first', 'circuit', never))
    for (let second = 0; second < 60; second++) await clock.advance(1_000)
    assert.ok(ordered() < 20, `${ordered()} orders`)
  })

  it('has another circuit built for one that Tor has given up for being slow', async (t) => {
    const { stock, tell, ordered } = await stockWith(t)
    await stock.take('first', 'circuit', never)
    const waiting = fateOf(stock.take('second', 'circuit', never))
    await settled()
    await tell(`CIRC_MINOR 101 PURPOSE_CHANGED ${PATH} PURPOSE=MEASURE_TIMEOUT OLD_PURPOSE=GENERAL`)
    await tell(`CIRC 101 BUILT ${PATH} PURPOSE=MEASURE_TIMEOUT`)
    assert.deepEqual([waiting.state, ordered()], ['waiting', 2])
  })

  it('closes the circuits of an identity that is forgotten, as soon as no stream is on them', async (t) => {
    const { stock, connect, received, tell } = await stockWith(t)
    const ticket = await stock.take('alice', 'circuit', never)
    stock.forget('alice')
    await connect('alice', 1, 7)
    ticket[Symbol.dispose]()
    await settled()
    assert.deepEqual(received('CLOSECIRCUIT'), [])
    await tell('STREAM 7 CLOSED 1 a.test:80 SOCKS_USERNAME="alice"')
    assert.deepEqual(received('CLOSECIRCUIT'), ['CLOSECIRCUIT 1'])
    stock.forget('alice')
    stock.forget('nobody')
    await settled()
    assert.equal(received('CLOSECIRCUIT').length, 1)
  })

  it('closes them also where streams tell only at their beginning whose they are, as those of a TransPort', async (t) => {
    const { stock, received, tell } = await stockWith(t)
    const ticket = await stock.take('10.201.1.20', 'circuit', never)
    await tell(
      'STREAM 7 NEW 0 10.128.0.9:80 SOURCE_ADDR=10.201.1.20:20000 PURPOSE=USER CLIENT_PROTOCOL=TRANS ISO_FIELDS=CLIENTADDR',
      'STREAM 7 SENTCONNECT 1 10.128.0.9:80 CLIENT_PROTOCOL=TRANS',
    )
    ticket[Symbol.dispose]()
    stock.forget('10.201.1.20')
    await settled()
    assert.deepEqual(received('CLOSECIRCUIT'), [])
    await tell('STREAM 7 CLOSED 1 10.128.0.9:80 CLIENT_PROTOCOL=TRANS REASON=DONE')
    assert.deepEqual(received('CLOSECIRCUIT'), ['CLOSECIRCUIT 1'])
  })

  it('closes nothing of an identity that comes back', async (t) => {
    const { stock, connect, received, tell } = await stockWith(t)
    await connect('alice', 1, 7)
    stock.forget('alice')
    const ticket = await stock.take('alice', 'circuit', never)
    await tell('STREAM 7 CLOSED 1 a.test:80 SOCKS_USERNAME="alice"')
    ticket[Symbol.dispose]()
    await settled()
    assert.deepEqual(received('CLOSECIRCUIT'), [])
  })

  it('takes what is ordered for no storm, and stops a storm of Tor all the same', async (t) => {
    const { stock, watch, events, tell, received, ordered } = await stockWith(t, { policy: { maxBuilding: 40 } })
    using _expected = watch.expect({ user: 'alice', target: { host: 'a.test', port: 80 } })
    await tell('STREAM 7 NEW 0 a.test:80 SOCKS_USERNAME="alice" PURPOSE=USER ISO_FIELDS=SOCKS_USERNAME,SOCKS_PASSWORD')
    for (let n = 0; n < 40; n++) fateOf(stock.take(`user${n}`, 'circuit', never))
    await settled()
    assert.deepEqual([ordered(), events], [39, []])
    await tell(...Array.from({ length: 11 }, (_, n) => `CIRC ${300 + n} LAUNCHED ${GENERAL}`))
    assert.deepEqual(received('CLOSESTREAM'), ['CLOSESTREAM 7 1'])
    assert.deepEqual(events, [{ type: 'storm-stopped', circuits: 11, ms: 0 }])
  })

  it('stops a stream that goes through one ordered circuit after the other, too', async (t) => {
    const { watch, events, tell, become, received, clock } = await stockWith(t, { policy: { stock: 3 } })
    using _expected = watch.expect({ user: 'alice', target: { host: 'a.test', port: 80 } })
    await tell('STREAM 7 NEW 0 a.test:80 SOCKS_USERNAME="alice" PURPOSE=USER ISO_FIELDS=SOCKS_USERNAME,SOCKS_PASSWORD')
    for (let circuit = 101; circuit <= 120 && events.length === 0; circuit++) {
      await become('BUILT')
      await tell(
        `STREAM 7 SENTCONNECT ${circuit} a.test:80 SOCKS_USERNAME="alice"`,
        `STREAM 7 DETACHED ${circuit} a.test:80 REASON=END REMOTE_REASON=EXITPOLICY SOCKS_USERNAME="alice"`,
      )
      await clock.advance(100)
    }
    assert.deepEqual(received('CLOSESTREAM'), ['CLOSESTREAM 7 1'])
    assert.equal(events[0]?.type, 'storm-stopped')
  })
})

describe('warmUp()', { timeout: 10_000 }, () => {
  it('is content with circuits that are there', async (t) => {
    const { watch, ordered, clock } = await stockWith(t, {
      circuits: [1, 2].map((id) => `${id} BUILT ${PATH} ${GENERAL}`),
    })
    await watch.warmUp(never)
    assert.deepEqual([ordered(), clock.pending], [0, 0])
  })

  it("counts neither circuits of identities nor Tor's own, and has the missing ones built", async (t) => {
    const { watch, ordered, become } = await stockWith(t, {
      circuits: [
        `1 BUILT ${PATH} ${GENERAL}`,
        `2 BUILT ${PATH} ${GENERAL} SOCKS_USERNAME="somebody"`,
        `3 BUILT ${PATH} BUILD_FLAGS=IS_INTERNAL PURPOSE=GENERAL`,
        `5 BUILT ${PATH} PURPOSE=HS_CLIENT_REND`,
      ],
    })
    const warming = watch.warmUp(never)
    await settled()
    assert.equal(ordered(), 1)
    await become('BUILT')
    await warming
    assert.equal(ordered(), 1)
  })

  it('waits for circuits that are under way anyway', async (t) => {
    const { watch, ordered, tell } = await stockWith(t, { circuits: [1, 2].map((id) => `${id} LAUNCHED ${GENERAL}`) })
    const warming = watch.warmUp(never)
    await tell(...[1, 2].map((id) => `CIRC ${id} BUILT ${PATH} ${GENERAL}`))
    await warming
    assert.equal(ordered(), 0)
  })

  it('launches few when all of them fail, and gives up in the end', async (t) => {
    const { watch, ordered, become, clock } = await stockWith(t, { circuits: [] })
    const warming = assert.rejects(watch.warmUp(never), (error: Error) => {
      assert.match(error.message, /worker tor01: its Tor has 0 of 2 circuits after 30000 ms/)
      return codeOf(error) === 'tor_timeout'
    })
    for (let second = 0; second < 30; second++) {
      await become('FAILED')
      await clock.advance(1_000)
    }
    await warming
    assert.ok(ordered() <= 16, `${ordered()} launches`)
    await clock.advance(60_000)
    assert.equal(clock.pending, 0)
  })

  it('fails when Tor goes', async (t) => {
    const { watch, tor } = await stockWith(t, { circuits: [] })
    const warming = watch.warmUp(never)
    await settled()
    tor.end()
    await assert.rejects(warming, (error) => codeOf(error) === 'worker_unreachable')
  })
})

import assert from 'node:assert/strict'
import { connect } from 'node:net'
import { join } from 'node:path'
import { Duplex } from 'node:stream'
import { text } from 'node:stream/consumers'
import { after, before, describe, it, type TestContext } from 'node:test'
import { codeOf } from '../../src/domain/errors.ts'
import { systemClock } from '../../src/lib/clock.ts'
import { silentLogger } from '../../src/lib/log.ts'
import { TorNetwork } from '../../src/testnet/network.ts'
import { TorControl } from '../../src/tor/control/client.ts'
import { torDirectory } from '../../src/tor/tor-directory.ts'
import { type BudgetPolicy, CircuitBudget, UNLIMITED } from '../../src/workers/circuit-budget.ts'
import { STOCK_POLICY } from '../../src/workers/circuit-stock.ts'
import { burdensGuard } from '../../src/workers/circuits.ts'
import type { WorkerDriver } from '../../src/workers/driver.ts'
import { ExternalDriver } from '../../src/workers/external/external-driver.ts'
import { LocalDriver } from '../../src/workers/local/local-driver.ts'
import { TorLink } from '../../src/workers/tor-link.ts'
import { eventually } from '../asking.ts'
import { SomebodysTor } from './somebodys-tor.ts'

const never = new AbortController().signal

let network: TorNetwork
let workers = 0

before(async () => {
  network = await TorNetwork.create()
})

after(async () => {
  await network[Symbol.asyncDispose]()
})

/** A worker that is up, and the file of its Tor's sockets. */
async function worker(t: TestContext, budget: BudgetPolicy = UNLIMITED) {
  const path = join(network.directory, `circuits${workers++}`)
  const driver = new LocalDriver({
    ...{ id: 'tor01', directory: path, clock: systemClock, logger: silentLogger },
    command: network.clientCommand(),
    torrc: network.clientTorrc({ client: 1 }),
    rejectInternalAddresses: network.isolation === 'namespace',
    circuits: { budget: new CircuitBudget(systemClock, budget), policy: STOCK_POLICY },
  })
  t.after(() => driver[Symbol.asyncDispose]())
  await driver.start(never)
  return { driver, directory: torDirectory(path) }
}

type Directory = ReturnType<typeof torDirectory>

function credentialsOf({ controlCookie }: Directory) {
  return { method: 'cookie-file', path: controlCookie } as const
}

/** What Tor tells somebody else about its streams and circuits. */
async function witness(t: TestContext, directory: Directory) {
  const control = await TorControl.open(directory.controlSocket, credentialsOf(directory), {}, never)
  t.after(() => control[Symbol.asyncDispose]())
  const launches: { readonly id: string; readonly at: number }[] = []
  /** By circuit, or by the Conflux set that it is a leg of: who was on it. */
  const users = new Map<string, Set<string>>()
  const sets = new Map<string, string>()
  control.onEvent((event) => {
    if (event.type === 'CIRC') {
      if (event.confluxId) sets.set(event.id, event.confluxId)
      if (event.status === 'LAUNCHED' && burdensGuard(event)) launches.push({ id: event.id, at: performance.now() })
    }
    if (event.type === 'STREAM' && event.status === 'SENTCONNECT' && event.circuitId !== undefined) {
      const circuit = sets.get(event.circuitId) ?? event.circuitId
      users.set(circuit, (users.get(circuit) ?? new Set()).add(event.socksUsername ?? ''))
    }
  })
  await control.subscribe(['CIRC', 'STREAM'], never)
  return { control, launches, users }
}

function identity(token: string) {
  return { token, isOneOff: true, keepsExit: false }
}

/** A request as this identity: its first bytes leave with the connect. */
async function get(driver: Pick<WorkerDriver, 'connect'>, token: string): Promise<void> {
  const host = new URL(network.urls.www).hostname
  const earlyData = Buffer.from(`GET /ip HTTP/1.0\r\nHost: ${host}\r\n\r\n`)
  const { socket } = await driver.connect({ host, port: 80 }, identity(token), never, { earlyData })
  assert.match(await text(socket), /^HTTP\/1\.[01] 200 /)
}

async function freeCircuits(driver: WorkerDriver): Promise<number> {
  const { circuits = [] } = await driver.inspect(never)
  return circuits.filter(
    ({ isTaken, status, path, purpose }) =>
      !isTaken && status === 'BUILT' && purpose === 'GENERAL' && path.length === 3,
  ).length
}

/**
 * Circuits that Tor keeps ready for ports that it has seen in use; they are charged when a guard has heard of them. As many as Tor
 * launches of them at most: MAX_UNUSED_OPEN_CIRCUITS in its circuituse.c.
 */
const TORS_OWN = 14

describe('circuits of a worker', { timeout: 600_000 }, () => {
  it('are never shared by two identities, in whatever order these come and go', async (t) => {
    const { driver, directory } = await worker(t)
    const { users } = await witness(t, directory)
    await Promise.all(
      Array.from({ length: 30 }, async (_, n) => {
        // Each twice: at once and one after the other; every third is forgotten in between.
        await Promise.all([get(driver, `user${n}`), get(driver, `user${n}`)])
        if (n % 3 === 0) driver.forget(identity(`user${n}`))
        await get(driver, `user${n}`)
        await get(driver, `once${n}`)
        driver.forget(identity(`once${n}`))
      }),
    )
    await eventually(async () => new Set([...users.values()].flatMap((names) => [...names])).size === 60)
    assert.deepEqual(
      [...users.values()].filter((names) => names.size !== 1),
      [],
    )
    assert.ok(users.size >= 60)
  })

  it('are kept in stock, and built anew when they are used', async (t) => {
    const { driver } = await worker(t)
    await driver.warmUp(never)
    await eventually(async () => (await freeCircuits(driver)) >= STOCK_POLICY.stock)
    for (let n = 0; n < 10; n++) await get(driver, `user${n}`)
    await eventually(async () => (await freeCircuits(driver)) >= STOCK_POLICY.stock)
  })

  it('are closed when their identity is forgotten, and no others', async (t) => {
    const { driver, directory } = await worker(t)
    const { control } = await witness(t, directory)
    const has = async (user: string) =>
      (await control.circuits(never)).some((circuit) => circuit.socksUsername === user)
    await get(driver, 'kept')
    await get(driver, 'gone')
    assert.deepEqual([await has('kept'), await has('gone')], [true, true])
    driver.forget(identity('gone'))
    await eventually(async () => !(await has('gone')))
    assert.equal(await has('kept'), true)
    await get(driver, 'gone')
  })

  it('are not held up by a control connection that hangs', async (t) => {
    const { directory } = await worker(t)
    const pipe = stallable(directory.controlSocket)
    const control = await TorControl.over(pipe.stream, credentialsOf(directory), {}, never)
    t.after(() => control[Symbol.asyncDispose]())
    const socks = { path: directory.socksSocket }
    const link = await TorLink.create(control, { worker: 'tor01', socks, clock: systemClock, onEvent() {} }, never)
    await link.warmUp(never)
    pipe.stall()
    const startedAt = performance.now()
    // More than there are circuits, so that some have to wait until it is known that nobody answers.
    await Promise.all(Array.from({ length: 20 }, (_, n) => get(link, `stalled${n}`)))
    for (let n = 0; n < 5; n++) await get(link, `later${n}`)
    assert.ok(performance.now() - startedAt < 10_000)
    pipe.resume()
    await link.warmUp(never)
    await get(link, 'again')
  })

  it('are never more than the budget, and who is over it is told when to come again', async (t) => {
    const budget = { rate: 4, burst: 12 }
    const { driver, directory } = await worker(t, budget)
    // What Tor has launched until now is on the books already.
    const { launches } = await witness(t, directory)
    const from = performance.now()
    await driver.warmUp(never)
    const outcomes = await Promise.allSettled(Array.from({ length: 80 }, (_, n) => get(driver, `user${n}`)))
    const refusals = outcomes.flatMap((outcome) => (outcome.status === 'rejected' ? [outcome.reason] : []))
    assert.ok(refusals.length > 0 && refusals.length < 80, `${refusals.length} refused`)
    for (const refusal of refusals) {
      assert.equal(codeOf(refusal), 'overloaded')
      assert.ok(refusal.retryAfterMs >= 1_000)
    }
    // From the beginning on, as events may come late, and then in heaps; and Tor launches a few by itself that nobody can hold back.
    for (const [last, { at: to }] of launches.entries()) {
      const allowed = budget.burst + ((to - from) / 1_000) * budget.rate + TORS_OWN
      assert.ok(last + 1 <= allowed, `${last + 1} circuits in ${to - from} ms`)
    }
    await eventually(async () => {
      try {
        await get(driver, 'patient')
        return true
      } catch (error) {
        assert.equal(codeOf(error), 'overloaded')
        return false
      }
    })
  })

  it("are kept and closed the same way in somebody else's Tor", async (t) => {
    const tor = await SomebodysTor.start({ network, client: 2 })
    t.after(() => tor[Symbol.asyncDispose]())
    await tor.bootstrapped()
    const { socksSocket, controlSocket } = tor.directory
    const driver = new ExternalDriver({
      ...{ id: 'tor02', clock: systemClock, logger: silentLogger },
      socks: { path: socksSocket },
      control: { at: { path: controlSocket }, credentials: tor.credentials },
      circuits: { budget: new CircuitBudget(systemClock, UNLIMITED), policy: STOCK_POLICY },
    })
    t.after(() => driver[Symbol.asyncDispose]())
    await driver.start(never)
    await driver.warmUp(never)
    const { control, users } = await witness(t, tor.directory)
    await Promise.all(Array.from({ length: 12 }, (_, n) => get(driver, `user${n}`)))
    assert.ok([...users.values()].every((names) => names.size === 1))
    for (let n = 0; n < 12; n++) driver.forget(identity(`user${n}`))
    await eventually(async () =>
      (await control.circuits(never)).every(({ socksUsername }) => !socksUsername?.startsWith('user')),
    )
    await eventually(async () => (await freeCircuits(driver)) >= STOCK_POLICY.stock)
  })
})

/** A connection to the unix socket at `path` that can be made to hang, both ways, without ending. */
function stallable(path: string) {
  const socket = connect(path)
  const held: (() => void)[] = []
  let isStalled = false
  const pass = (deliver: () => void) => {
    if (isStalled) held.push(deliver)
    else deliver()
  }
  const stream = new Duplex({
    read() {},
    write(chunk: Buffer, _encoding, done) {
      pass(() => socket.write(chunk))
      done()
    },
    destroy(error, done) {
      socket.destroy()
      done(error)
    },
  })
  socket.on('data', (chunk: Buffer) => pass(() => stream.push(chunk)))
  socket.on('close', () => stream.destroy())
  socket.on('error', () => {})
  return {
    stream,
    stall() {
      isStalled = true
    },
    resume() {
      isStalled = false
      for (const deliver of held.splice(0)) deliver()
    },
  }
}

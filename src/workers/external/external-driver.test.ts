import assert from 'node:assert/strict'
import { once } from 'node:events'
import { describe, it, type TestContext } from 'node:test'
import { codeOf } from '../../domain/errors.ts'
import { FakeClock } from '../../lib/fake-clock.ts'
import { createLogger } from '../../lib/log.ts'
import { type DriverEvent, NOTHING_KNOWN } from '../driver.ts'
import { ExternalDriver } from './external-driver.ts'
import { FakeExternalTor } from './fake-external-tor.ts'

const never = new AbortController().signal
const target = { host: 'a.io', port: 80 }
const identity = { token: 'alice', isOneOff: false, keepsExit: false }

/** Each wait is as long as it may be. */
const random = { float: () => 1, int: () => 0, bytes: (count: number) => Buffer.alloc(count, 7) }

/** Tells when something goes to sleep, and for how long. */
class WatchedClock extends FakeClock {
  readonly sleeps: number[] = []

  override sleep(ms: number, signal?: AbortSignal): Promise<void> {
    this.sleeps.push(ms)
    return super.sleep(ms, signal)
  }
}

async function lab(t: TestContext, options: { withControl?: boolean; password?: string } = {}) {
  const tor = await FakeExternalTor.start()
  t.after(() => tor[Symbol.asyncDispose]())
  const clock = new WatchedClock()
  const log: string[] = []
  const credentials = { method: 'password', password: options.password ?? tor.password } as const
  const driver = new ExternalDriver({
    id: 'tor01',
    socks: tor.socksAt,
    ...((options.withControl ?? true) && { control: { at: tor.controlAt, credentials } }),
    clock,
    random,
    logger: createLogger('info', { write: (line) => log.push(JSON.parse(line).msg) }),
  })
  t.after(() => driver[Symbol.asyncDispose]())
  const events: DriverEvent[] = []
  driver.onEvent((event) => events.push(event))
  /** Waits for what comes by a socket, which no clock knows of. */
  const until = (look: () => unknown) => t.waitFor(() => assert.ok(look()), { interval: 1, timeout: 5_000 })
  return { tor, clock, log, driver, events, until }
}

const isLost = ({ type }: DriverEvent) => type === 'lost'

describe('ExternalDriver', { timeout: 20_000 }, () => {
  it('refuses a host that is a name, and a port and a path that cannot be', () => {
    const options = { id: 'tor01', clock: new FakeClock(), logger: createLogger('silent') }
    const made = (socks: { host: string; port: number } | { path: string }) => () =>
      new ExternalDriver({ ...options, socks })
    assert.throws(made({ host: 'tor.example', port: 9050 }), {
      name: 'RangeError',
      message:
        'Cannot use worker tor01: its SOCKS port has a name for a host, and this program resolves no names outside Tor: "tor.example". Write its IP address, such as 127.0.0.1, or the path of a unix socket',
    })
    assert.throws(made({ host: 'localhost', port: 9050 }), /has a name for a host/)
    for (const port of [0, 65_536, 1.5, Number.NaN])
      assert.throws(made({ host: '127.0.0.1', port }), /its SOCKS port has a port that is not from 1 to 65535/)
    assert.throws(made({ path: 'run/socks' }), /its SOCKS port has a path that is not absolute: run\/socks/)
    const control = { at: { host: 'box', port: 9051 }, credentials: { method: 'password', password: 'x' } } as const
    assert.throws(
      () => new ExternalDriver({ ...options, socks: { host: '::1', port: 9050 }, control }),
      /its control port has a name for a host/,
    )
  })

  it('waits for a Tor that bootstraps, and tells how far it is', async (t) => {
    const { tor, driver, events, until } = await lab(t)
    tor.progress = 10
    const starting = driver.start(never)
    await until(() => events.length === 1)
    assert.equal(driver.observe().process, 'starting')
    assert.deepEqual(driver.observe().bootstrap, { progress: 10, tag: 't', summary: 'At 10' })
    tor.bootstrap(45)
    tor.bootstrap(100)
    await starting
    assert.deepEqual(
      events,
      [10, 45, 100].map((progress) => ({ type: 'progressed', progress })),
    )
    assert.equal(driver.observe().process, 'running')
    assert.equal(driver.observe().torVersion, '0.4.9.11')
  })

  it('fails to start when the control connection ends meanwhile, without calling that a loss', async (t) => {
    const { tor, clock, driver, events, until } = await lab(t)
    tor.progress = 10
    const starting = driver.start(never)
    await until(() => events.length === 1)
    await tor.closeControl()
    await assert.rejects(starting, (error: Error) => {
      assert.match(error.message, /^Cannot start worker tor01: /)
      return codeOf(error) === 'worker_unreachable'
    })
    assert.equal(driver.observe().process, 'exited')
    assert.equal(events.some(isLost), false)
    assert.equal(clock.pending, 0)
  })

  it('says what is wrong when the ports refuse, or the password is wrong', async (t) => {
    const { tor, driver } = await lab(t, { password: 'guessed' })
    await assert.rejects(driver.start(never), {
      message: 'Cannot start worker tor01: Cannot authenticate to Tor: it replied 515 Authentication failed',
    })
    await tor[Symbol.asyncDispose]()
    await assert.rejects(driver.start(never), {
      message: `Cannot start worker tor01: Cannot connect to the control port: connect ECONNREFUSED 127.0.0.1:${tor.controlAt.port}`,
    })
    assert.match(driver.observe().problem ?? '', /ECONNREFUSED/)
    const other = await lab(t, { withControl: false })
    await other.tor[Symbol.asyncDispose]()
    await assert.rejects(other.driver.start(never), {
      message: `Cannot start worker tor01: Cannot reach the SOCKS proxy: connect ECONNREFUSED 127.0.0.1:${other.tor.socksAt.port}`,
    })
  })

  it('gives up a start after 10 s when either port takes connections and says nothing', async (t) => {
    for (const silent of ['isControlSilent', 'isSocksSilent'] as const) {
      const { tor, clock, driver, until } = await lab(t)
      tor[silent] = true
      const message = 'Cannot start worker tor01: it did not answer within 10000 ms'
      const refused = assert.rejects(driver.start(never), { message })
      await until(() => tor.connections === (silent === 'isSocksSilent' ? 2 : 1))
      await clock.advance(10_000)
      await refused
      await until(() => tor.connections === 0)
      assert.equal(clock.pending, 0)
    }
  })

  it('does not start when the control port knows nothing of the SOCKS port', async (t) => {
    const { tor, clock, driver, until } = await lab(t)
    tor.isOneTor = false
    const refused = assert.rejects(driver.start(never), /belong to two different Tors/)
    // One timer is of the whole start, the other of the event that does not come.
    await until(() => clock.pending === 2)
    await clock.advance(2_000)
    await refused
  })

  it('warns of Conflux', async (t) => {
    const { tor, log, driver } = await lab(t)
    tor.conflux = 'auto'
    await driver.start(never)
    assert.deepEqual(log, ['Its Tor may move sessions to other exits: set ConfluxEnabled 0 in the torrc'])
  })

  it('hands out no stream of which it has yet to hear that Tor does not isolate it', async (t) => {
    const { tor, driver } = await lab(t)
    await driver.start(never)
    tor.isLate = true
    tor.isoFields = 'SESSION_GROUP'
    const connecting = driver.connect(target, identity, never)
    const connected = connecting.then(
      () => true,
      () => false,
    )
    // Its SOCKS port has answered by the time that it answers another.
    await driver.pulse(never)
    await driver.pulse(never)
    tor.tellHeld()
    assert.equal(await connected, false)
    await assert.rejects(connecting, /does not isolate streams by SOCKS_USERNAME and SOCKS_PASSWORD/)
  })

  it('goes on by SOCKS alone without its control port, and asks for that ever more rarely', async (t) => {
    const { tor, clock, log, driver, events, until } = await lab(t)
    await driver.start(never)
    await tor.closeControl()
    await until(() => clock.sleeps.length === 1)
    assert.equal(
      driver.observe().problem,
      'Its control port is lost (Tor closed the control connection); it goes on by its SOCKS port alone',
    )
    assert.equal(driver.observe().process, 'running')
    await driver.pulse(never)
    const connection = await driver.connect(target, identity, never)
    assert.equal(await connection.exit(100), undefined)
    connection.socket.destroy()
    await assert.rejects(driver.newCircuits(never), (error) => codeOf(error) === 'worker_unreachable')
    assert.deepEqual(await driver.inspect(never), NOTHING_KNOWN)

    for (const tries of [1, 2, 3, 4, 5, 6]) {
      await clock.advance(clock.sleeps.at(-1) ?? 0)
      await until(() => clock.sleeps.length === tries + 1)
    }
    assert.deepEqual(clock.sleeps, [1_000, 2_000, 4_000, 8_000, 16_000, 30_000, 30_000])
    await tor.openControl()
    await clock.advance(30_000)
    await until(() => driver.observe().problem === undefined)
    assert.equal(tor.controlConnections, 2)
    await driver.pulse(never)
    assert.deepEqual(log, ['The control port is lost', 'The control port is back'])
    assert.deepEqual(events, [{ type: 'progressed', progress: 100 }])
    assert.equal(clock.pending, 0)
  })

  it('is lost at once when its control port ends and its SOCKS port refuses, once', async (t) => {
    const { tor, driver, events, until } = await lab(t)
    await driver.start(never)
    const { socket } = await driver.connect(target, identity, never)
    const closed = once(socket, 'close')
    await tor[Symbol.asyncDispose]()
    await until(() => events.some(isLost))
    await closed
    assert.equal(driver.observe().process, 'exited')
    assert.match(driver.observe().problem ?? '', /ECONNREFUSED/)
    await assert.rejects(driver.connect(target, identity, never), (error) => codeOf(error) === 'worker_unreachable')
    assert.equal(events.filter(isLost).length, 1)
    await driver.stop(never)
    assert.equal(driver.observe().process, 'stopped')
  })

  it('is lost after 2 s when its control port ends and its SOCKS port is silent', async (t) => {
    const { tor, clock, driver, events, until } = await lab(t)
    await driver.start(never)
    tor.isSocksSilent = true
    await tor.closeControl()
    await until(() => clock.pending === 1 && tor.connections === 1)
    await clock.advance(2_000)
    await until(() => events.some(isLost))
    assert.match(driver.observe().problem ?? '', /does not answer: there was no answer in 2000 ms$/)
    await until(() => tor.connections === 0)
  })

  it('is lost when the Tor that comes back does not keep identities apart', async (t) => {
    const { tor, clock, driver, events, until } = await lab(t)
    await driver.start(never)
    await tor.closeControl()
    await until(() => clock.sleeps.length === 1)
    tor.isoFields = 'CLIENTADDR,SESSION_GROUP'
    await tor.openControl()
    await clock.advance(1_000)
    await until(() => events.some(isLost))
    const missing = ['SOCKS_USERNAME', 'SOCKS_PASSWORD']
    const [, ...others] = events
    assert.deepEqual(others, [
      { type: 'isolation-missing', missing },
      { type: 'lost', reason: driver.observe().problem },
    ])
    await until(() => tor.connections === 0)
  })

  it('takes no streams by SOCKS alone when it was found not to keep identities apart', async (t) => {
    const { tor, driver, events, until } = await lab(t)
    await driver.start(never)
    tor.tell('STREAM 9 NEW 0 a.io:80 SOCKS_USERNAME="alice" PURPOSE=USER ISO_FIELDS=SESSION_GROUP')
    // Of a stream that we are not waiting for, nothing follows.
    await driver.pulse(never)
    tor.isSocksSilent = true
    const connecting = driver.connect(target, identity, never)
    await until(() => tor.connections === 2)
    tor.tell('STREAM 10 NEW 0 a.io:80 SOCKS_USERNAME="alice" PURPOSE=USER ISO_FIELDS=SESSION_GROUP')
    await assert.rejects(connecting, /does not isolate/)
    tor.isSocksSilent = false
    await tor.closeControl()
    await until(() => events.some(isLost))
    await assert.rejects(driver.connect(target, identity, never), (error) => codeOf(error) === 'worker_unreachable')
  })

  it('ends what is under way when stopped, whatever it is doing', async (t) => {
    const { tor, clock, driver, until } = await lab(t)
    tor.progress = 10
    const starting = driver.start(never)
    await until(() => driver.observe().bootstrap.progress === 10)
    const stopped = assert.rejects(starting, /it was stopped meanwhile/)
    await driver.stop(never)
    await stopped

    tor.progress = 100
    await driver.start(never)
    tor.isSocksSilent = true
    const connecting = driver.connect(target, identity, never)
    await until(() => tor.connections === 2)
    const given = assert.rejects(connecting, (error) => codeOf(error) === 'worker_unreachable')
    await driver.stop(never)
    await given
    tor.isSocksSilent = false

    await driver.start(never)
    await tor.closeControl()
    await until(() => clock.sleeps.length === 1)
    await driver.stop(never)
    await until(() => tor.connections === 0)
    assert.equal(clock.pending, 0)
    assert.equal(driver.observe().process, 'stopped')
    assert.equal(driver.observe().problem, undefined)
  })
})

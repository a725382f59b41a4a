import assert from 'node:assert/strict'
import { once } from 'node:events'
import { text } from 'node:stream/consumers'
import { after, before, describe, it } from 'node:test'
import { isDeepStrictEqual } from 'node:util'
import { systemClock } from '../../src/lib/clock.ts'
import { silentLogger } from '../../src/lib/log.ts'
import { TorNetwork } from '../../src/testnet/network.ts'
import { TorControl } from '../../src/tor/control/client.ts'
import { type DriverEvent, NOTHING_KNOWN } from '../../src/workers/driver.ts'
import type { ControlEndpoint } from '../../src/workers/external/control-endpoint.ts'
import type { Endpoint } from '../../src/workers/external/endpoint.ts'
import { ExternalDriver } from '../../src/workers/external/external-driver.ts'
import { eventually } from '../asking.ts'
import { driverContract } from '../contracts/driver-contract.ts'
import { assertLeft, type DriverSubject, hasCode, identity, isSettled, never } from '../contracts/driver-subject.ts'
import { targetOf, worldOf } from './network-world.ts'
import { SomebodysTor } from './somebodys-tor.ts'
import { TcpForward } from './tcp-forward.ts'

const CLIENT = 1

let network: TorNetwork

before(async () => {
  network = await TorNetwork.create()
})

after(async () => {
  await network[Symbol.asyncDispose]()
})

driverContract('external (unix sockets)', async () => {
  const tor = await SomebodysTor.start({
    network,
    client: CLIENT,
    flags: ['IsolateSOCKSAuth', 'KeepAliveIsolateSOCKSAuth', 'ExtendedErrors'],
  })
  const { socksSocket, controlSocket } = tor.directory
  const control = { at: { path: controlSocket }, credentials: tor.credentials }
  return subjectOf(tor, externalDriver({ path: socksSocket }, control))
})

driverContract('external (TCP, with a password)', async () => {
  const { tor, driver, forwards, ...parts } = await overTcp()
  return {
    ...subjectOf(tor, driver),
    connections: () => forwards.reduce((sum, { connections }) => sum + connections, 0),
    [Symbol.asyncDispose]: () => parts[Symbol.asyncDispose](),
  }
})

describe('the external driver with a control port', { timeout: 90_000 }, () => {
  it('serves by SOCKS alone while the control port is lost, and has it back by itself', async () => {
    await using parts = await overTcp()
    const { driver, controlForward } = parts
    await driver.start(never)
    const events = eventsButProgress(driver)
    const target = targetOf(network.urls.www)
    const before = await driver.connect(target, identity('a'), never)
    const exit = await before.exit(5_000)
    assert.ok(exit)

    await controlForward.cut()
    await eventually(async () => driver.observe().problem?.startsWith('Its control port is lost'))
    assert.equal(driver.observe().process, 'running')
    await driver.pulse(never)
    await assert.rejects(driver.newCircuits(never), hasCode('worker_unreachable'))
    await assert.rejects(driver.warmUp(never), hasCode('worker_unreachable'))
    assert.deepEqual(await driver.inspect(never), NOTHING_KNOWN)
    const meanwhile = await driver.connect(target, identity('a'), never)
    assert.equal(await meanwhile.exit(100), undefined)
    for (const { socket } of [before, meanwhile]) {
      socket.write(`GET /ip HTTP/1.0\r\nHost: ${target.host}\r\n\r\n`)
      assert.match(await text(socket), /^HTTP\/1\.[01] 200 /)
    }

    await controlForward.mend()
    await eventually(async () => driver.observe().problem === undefined)
    const afterwards = await driver.connect(target, identity('a'), never)
    assert.equal((await afterwards.exit(5_000))?.fingerprint, exit.fingerprint, 'the identity has kept its circuit')
    afterwards.socket.destroy()
    assert.deepEqual(events, [])
  })

  it('knows within a second of having its control port back what Tor itself says of its circuits', async (t) => {
    await using parts = await overTcp()
    const { tor, driver, controlForward } = parts
    await driver.start(never)
    const target = targetOf(network.urls.www)
    const connectAs = (names: string[]) =>
      Promise.all(names.map((name) => driver.connect(target, identity(name), never)))
    const before = await connectAs(['a', 'b', 'c'])
    await controlForward.cut()
    await eventually(async () => driver.observe().problem !== undefined)
    // What becomes of Tor meanwhile nobody tells.
    before[0]?.socket.destroy()
    const meanwhile = await connectAs(['d', 'e'])
    await controlForward.mend()
    await eventually(async () => driver.observe().problem === undefined)
    const backAt = performance.now()

    await using control = await TorControl.open(tor.directory.controlSocket, tor.credentials, {}, never)
    const told = async () => {
      const circuits = await control.circuits(never)
      return circuits.map(({ id, socksUsername }) => `${id} ${socksUsername !== undefined}`).sort()
    }
    const known = async () => {
      const { circuits = [] } = await driver.inspect(never)
      return circuits.map(({ id, isTaken }) => `${id} ${isTaken}`).sort()
    }
    // The two are not asked at one moment, and Tor builds circuits all the time.
    await eventually(async () => isDeepStrictEqual(await told(), await known()))
    const ms = Math.round(performance.now() - backAt)
    t.diagnostic(`figure: after the loss of a control port its circuits are known ${ms} ms after it is back`)
    assert.ok(ms < 1_000, `${ms} ms`)
    for (const { socket } of [...before, ...meanwhile]) socket.destroy()
  })

  it('is lost when Tor goes while the control port is lost', async () => {
    await using parts = await overTcp()
    const { tor, driver, controlForward } = parts
    await driver.start(never)
    const events = eventsButProgress(driver)
    const { socket } = await driver.connect(targetOf(network.urls.www), identity('a'), never)
    const closed = once(socket, 'close')
    await controlForward.cut()
    await eventually(async () => driver.observe().problem)
    tor.signal('SIGKILL')
    await eventually(async () => driver.observe().process === 'exited')
    await closed
    assert.equal(events.length, 1)
    assert.match(driver.observe().problem ?? '', /its SOCKS port does not answer/)
  })

  it('does not start on two ports of two Tors', async () => {
    await using one = await SomebodysTor.start({ network, client: CLIENT })
    await using other = await SomebodysTor.start({ network, client: CLIENT })
    const control = { at: { path: other.directory.controlSocket }, credentials: other.credentials }
    await using driver = externalDriver({ path: one.directory.socksSocket }, control)
    await assert.rejects(driver.start(never), (error: Error) => {
      assert.match(error.message, /^Cannot start worker tor01: the control port .* two different Tors/)
      return hasCode('worker_unreachable')(error)
    })
    assert.equal(driver.observe().process, 'exited')
  })

  it('does not start on a SOCKS port that does not keep identities apart', async () => {
    await using tor = await SomebodysTor.start({ network, client: CLIENT })
    await tor.changeSocksPort('NoIsolateSOCKSAuth')
    const { socksSocket, controlSocket } = tor.directory
    const control = { at: { path: controlSocket }, credentials: tor.credentials }
    await using driver = externalDriver({ path: socksSocket }, control)
    const events = eventsButProgress(driver)
    await assert.rejects(driver.start(never), /does not isolate streams by SOCKS_USERNAME and SOCKS_PASSWORD/)
    assert.deepEqual(events, [{ type: 'isolation-missing', missing: ['SOCKS_USERNAME', 'SOCKS_PASSWORD'] }])
  })

  it('says what is wrong with a password', async () => {
    await using tor = await SomebodysTor.start({ network, client: CLIENT, password: 'right' })
    const { socksSocket, controlSocket } = tor.directory
    const credentials = { method: 'password', password: 'wrong' } as const
    await using driver = externalDriver({ path: socksSocket }, { at: { path: controlSocket }, credentials })
    await assert.rejects(driver.start(never), /^CbtorError: Cannot start worker tor01: Cannot authenticate to Tor: /)
  })
})

describe('the external driver without a control port', { timeout: 90_000 }, () => {
  async function socksOnly(): Promise<DriverSubject> {
    const tor = await SomebodysTor.start({ network, client: CLIENT, flags: ['ExtendedErrors'] })
    await tor.bootstrapped()
    return subjectOf(tor, externalDriver({ path: tor.directory.socksSocket }))
  }

  async function startedSocksOnly(): Promise<DriverSubject> {
    const subject = await socksOnly()
    await subject.driver.start(never)
    return subject
  }

  it('starts once the SOCKS port answers, and takes the rest on trust', async () => {
    await using subject = await socksOnly()
    const { driver } = subject
    const progress: number[] = []
    driver.onEvent((event) => event.type === 'progressed' && progress.push(event.progress))
    await Promise.all([driver.start(never), driver.start(never)])
    assert.deepEqual(progress, [100])
    const observed = driver.observe()
    assert.equal(observed.process, 'running')
    assert.equal(observed.bootstrap.summary, 'Not known without a control port')
    await driver.start(never)
    assert.deepEqual(driver.observe(), observed)
    await driver.stop(never)
    await assertLeft(subject, 'stopped')
    await subject.crash()
    await eventually(async () => !(await subject.isAlive()))
    await assert.rejects(driver.start(never), hasCode('worker_unreachable'))
    assert.equal(driver.observe().process, 'exited')
  })

  it('connects to targets and onion services, and knows no exit', async () => {
    await using subject = await startedSocksOnly()
    const { driver } = subject
    for (const target of [subject.target, subject.onion]) {
      const connection = await driver.connect(target, identity('a'), never)
      assert.equal(connection.route, 'socks')
      assert.equal(await connection.exit(1_000), undefined)
      connection.socket.write(`GET /ip HTTP/1.0\r\nHost: ${target.host}\r\n\r\n`)
      assert.match(await text(connection.socket), /^HTTP\/1\.[01] 200 /)
    }
    await assert.rejects(
      driver.connect(subject.refused, identity('a'), never),
      hasCode('connection_refused', 'tor_failure'),
    )
    await assert.rejects(driver.connect(subject.unknown, identity('a'), never), hasCode('resolve_failed'))
  })

  it('gives identities different exits, as long as its Tor does', async () => {
    await using subject = await startedSocksOnly()
    const { driver, target } = subject
    const addresses = await Promise.all(
      Array.from({ length: 12 }, async (_, n) => {
        const { socket } = await driver.connect(target, identity(`other-${n}`), never)
        socket.write(`GET /ip HTTP/1.0\r\nHost: ${target.host}\r\n\r\n`)
        return (await text(socket)).split('\r\n\r\n')[1]
      }),
    )
    // On loopback, every exit has the same address.
    if (network.isolation === 'namespace') assert.ok(new Set(addresses).size > 1, `12 identities left by ${addresses}`)
  })

  it('gives up a connect that no exit takes only when told to', async () => {
    await using subject = await startedSocksOnly()
    const { driver, exitless } = subject
    const patience = new AbortController()
    const connecting = driver.connect(exitless, identity('storm'), patience.signal)
    assert.equal(await isSettled(connecting), false)
    patience.abort(new Error('the client left'))
    await assert.rejects(connecting, /the client left/)
  })

  it('has a pulse while it answers, also when it hangs no longer', async () => {
    await using subject = await startedSocksOnly()
    const { driver, target } = subject
    await driver.pulse(never)
    await subject.freeze()
    const patience = new AbortController()
    const pulse = driver.pulse(patience.signal)
    const connecting = driver.connect(target, identity('a'), patience.signal)
    assert.deepEqual(await Promise.all([pulse, connecting].map(isSettled)), [false, false])
    patience.abort(new Error('no longer'))
    await assert.rejects(pulse, /its SOCKS port is silent/)
    await assert.rejects(connecting, /no longer/)
    await subject.thaw()
    await driver.pulse(never)
    ;(await driver.connect(target, identity('a'), never)).socket.destroy()
  })

  it('shows a crash by its pulse, and goes on when Tor is back', async () => {
    await using subject = await startedSocksOnly()
    const { driver, target } = subject
    await subject.crash()
    await eventually(async () => !(await subject.isAlive()))
    await assert.rejects(driver.pulse(never), hasCode('worker_unreachable'))
    await assert.rejects(driver.connect(target, identity('a'), never), hasCode('worker_unreachable'))
    await subject.revive?.()
    await driver.pulse(never)
    ;(await driver.connect(target, identity('a'), AbortSignal.timeout(60_000))).socket.destroy()
  })

  it('says that a control port must be configured for what needs one', async () => {
    await using subject = await startedSocksOnly()
    const { driver } = subject
    for (const order of [driver.newCircuits(never), driver.warmUp(never)])
      await assert.rejects(order, (error: Error) => {
        assert.match(error.message, /has no control port\. Configure one/)
        return hasCode('conflict')(error)
      })
    assert.ok(driver.newCircuitsActAt() <= Date.now())
    assert.deepEqual(await driver.inspect(never), NOTHING_KNOWN)
  })

  it('ends its connections when stopped, and starts again', async () => {
    await using subject = await startedSocksOnly()
    const { driver, target } = subject
    const { socket } = await driver.connect(target, identity('a'), never)
    const closed = once(socket, 'close')
    await driver.stop(never)
    await closed
    assert.equal(driver.observe().process, 'stopped')
    await assert.rejects(driver.connect(target, identity('a'), never), hasCode('worker_unreachable'))
    await assertLeft(subject, 'stopped')
    await driver.start(never)
    ;(await driver.connect(target, identity('a'), never)).socket.destroy()
    await driver[Symbol.asyncDispose]()
    await assertLeft(subject, 'disposed of')
  })
})

function externalDriver(socks: Endpoint, control?: ControlEndpoint): ExternalDriver {
  const limits = { retryBaseMs: 50, retryCapMs: 200 }
  const exits = { exits: 1, families: 1 }
  const options = { id: 'tor01', socks, clock: systemClock, logger: silentLogger, limits, exits }
  return new ExternalDriver({ ...options, ...(control && { control }) })
}

/** Its two ports are reached by TCP, and the way to each can be cut. */
async function overTcp() {
  await using stack = new AsyncDisposableStack()
  const tor = stack.use(await SomebodysTor.start({ network, client: CLIENT, password: 'open sesame' }))
  const socksForward = stack.use(await TcpForward.to(tor.directory.socksSocket))
  const controlForward = stack.use(await TcpForward.to(tor.directory.controlSocket))
  const control = { at: controlForward.address, credentials: tor.credentials }
  const driver = stack.use(externalDriver(socksForward.address, control))
  const parts = stack.move()
  return {
    tor,
    driver,
    controlForward,
    forwards: [socksForward, controlForward],
    [Symbol.asyncDispose]: () => parts.disposeAsync(),
  }
}

function subjectOf(tor: SomebodysTor, driver: ExternalDriver): DriverSubject {
  return {
    driver,
    tenure: 'foreign',
    ...worldOf(network),
    crash: () => tor.signal('SIGKILL'),
    freeze: () => tor.signal('SIGSTOP'),
    thaw: () => tor.signal('SIGCONT'),
    revive: () => tor.restart(),
    ...(network.isolation === 'namespace' && { blackhole: (on: boolean) => network.blackhole(CLIENT, on) }),
    loseIsolation: () => tor.changeSocksPort('NoIsolateSOCKSAuth'),
    isAlive: () => tor.isAlive(),
    async [Symbol.asyncDispose]() {
      await driver[Symbol.asyncDispose]()
      await tor[Symbol.asyncDispose]()
    },
  }
}

function eventsButProgress(driver: ExternalDriver): DriverEvent[] {
  const events: DriverEvent[] = []
  driver.onEvent((event) => event.type !== 'progressed' && events.push(event))
  return events
}

import assert from 'node:assert/strict'
import { text } from 'node:stream/consumers'
import { it } from 'node:test'
import { NOTHING_KNOWN } from '../../src/workers/driver.ts'
import {
  assertLeft,
  type DriverSubject,
  eventsOf,
  hasCode,
  identity,
  isSettled,
  never,
  started,
} from './driver-subject.ts'

/** The part of the promise that is about the worker's own health: pulse, inspection, circuits, and what it does under faults. */
export function driverCareContract(create: () => Promise<DriverSubject>): void {
  it('has a pulse while it answers, and tells who is silent when it hangs', async () => {
    await using subject = await create()
    const { driver } = subject
    await assert.rejects(driver.pulse(never), hasCode('worker_unreachable'))
    await driver.start(never)
    await driver.pulse(never)
    await subject.freeze()
    const patience = new AbortController()
    const pulse = driver.pulse(patience.signal)
    assert.equal(await isSettled(pulse), false)
    patience.abort(new Error('no longer'))
    await assert.rejects(pulse, (error: Error) => {
      assert.match(error.message, /control port and its SOCKS port are silent/)
      return hasCode('worker_unreachable')(error)
    })
    await subject.thaw()
    await driver.pulse(never)
    await assert.rejects(driver.pulse(AbortSignal.abort(new Error('too late'))), /too late/)
  })

  it('gives up a connect, new circuits and a warm-up that hang when told to, and goes on when thawed', async () => {
    await using subject = await started(create)
    const { driver, target } = subject
    const connection = await driver.connect(target, identity('a'), never)
    await subject.freeze()
    const patience = new AbortController()
    const waiting = [
      driver.connect(target, identity('a'), patience.signal),
      driver.newCircuits(patience.signal),
      driver.warmUp(patience.signal),
    ]
    assert.deepEqual(await Promise.all(waiting.map(isSettled)), [false, false, false])
    patience.abort(new Error('the client left'))
    for (const each of waiting) await assert.rejects(each, /the client left/)
    connection.socket.write(`GET /ip HTTP/1.0\r\nHost: ${target.host}\r\n\r\n`)
    const answer = text(connection.socket)
    assert.equal(await isSettled(answer), false)
    await subject.thaw()
    assert.match(await answer, /^HTTP\/1\.[01] 200 /)
    ;(await driver.connect(target, identity('b'), never)).socket.destroy()
  })

  it('can be stopped while it hangs', async () => {
    await using subject = await started(create)
    await subject.freeze()
    await subject.driver.stop(AbortSignal.abort(new Error('no patience')))
    assert.equal(subject.driver.observe().process, 'stopped')
    await assertLeft(subject, 'stopped')
    await assert.rejects(subject.driver.pulse(never), hasCode('worker_unreachable'))
  })

  it('tells of itself what it knows, and nothing when it is down or hangs', async () => {
    await using subject = await create()
    const { driver, target } = subject
    assert.deepEqual(await driver.inspect(never), NOTHING_KNOWN)
    await driver.start(never)
    const connection = await driver.connect(target, identity('a'), never)
    const exit = await connection.exit(5_000)
    connection.socket.destroy()
    const { circuits, torVersion } = await driver.inspect(never)
    assert.ok(torVersion)
    const taken = circuits?.filter(({ isTaken, status }) => isTaken && status === 'BUILT') ?? []
    const own = taken.find(({ path }) => path.at(-1)?.fingerprint === exit?.fingerprint)
    assert.equal(own?.path.at(-1)?.address, exit?.address)
    assert.ok(own?.path.every(({ address }) => address !== undefined))
    await subject.freeze()
    const patience = new AbortController()
    const inspecting = driver.inspect(patience.signal)
    patience.abort(new Error('enough'))
    assert.equal((await inspecting).circuits, undefined)
    assert.equal((await driver.inspect(never)).circuits, undefined)
    await subject.thaw()
    assert.ok((await driver.inspect(never)).circuits)
  })

  it('gives new streams new circuits, says when it can do so again, and keeps connections', async () => {
    await using subject = await started(create)
    const { driver, target, exitNicknames } = subject
    const before = await driver.connect(target, identity('a'), never)
    const exit = await before.exit(5_000)
    assert.ok(driver.newCircuitsActAt() <= Date.now())
    const { actedAt, exitsBefore, exitsAfter } = await driver.newCircuits(never)
    assert.ok(exitsBefore.some(({ fingerprint }) => fingerprint === exit?.fingerprint))
    assert.ok([...exitsBefore, ...exitsAfter].every(({ nickname }) => exitNicknames.includes(nickname)))
    assert.equal(driver.newCircuitsActAt(), actedAt + 10_000)
    before.socket.write(`GET /ip HTTP/1.0\r\nHost: ${target.host}\r\n\r\n`)
    assert.match(await text(before.socket), /^HTTP\/1\.[01] 200 /)
    const after = await driver.connect(target, identity('a'), never)
    assert.ok(exitNicknames.includes((await after.exit(5_000))?.nickname ?? ''))
    after.socket.destroy()
    const impatient = new AbortController()
    const again = driver.newCircuits(impatient.signal)
    assert.equal(await isSettled(again), false)
    impatient.abort(new Error('that is too long'))
    await assert.rejects(again, /that is too long/)
    await driver.stop(never)
    await assert.rejects(driver.newCircuits(never), hasCode('worker_unreachable'))
  })

  it('builds circuits for the identities to come', async () => {
    await using subject = await create()
    const { driver } = subject
    await assert.rejects(driver.warmUp(never), hasCode('worker_unreachable'))
    await driver.start(never)
    await driver.warmUp(never)
    const { circuits = [] } = await driver.inspect(never)
    const free = circuits.filter(
      ({ isTaken, status, path, purpose }) =>
        !isTaken && status === 'BUILT' && purpose === 'GENERAL' && path.length === 3,
    )
    assert.ok(free.length >= 2, `${free.length} circuits are free`)
    await driver.warmUp(never)
    await assert.rejects(driver.warmUp(AbortSignal.abort(new Error('no need'))), /no need/)
  })

  it('stops a storm of circuits for a target that no exit takes, and goes on working', async () => {
    await using subject = await started(create)
    const { driver, target, exitless } = subject
    const events = eventsOf(driver)
    await assert.rejects(driver.connect(exitless, identity('storm'), never), hasCode('no_usable_exit'))
    const [storm, ...others] = events
    assert.ok(storm?.type === 'storm-stopped' && storm.circuits > 5 && storm.circuits <= 15, JSON.stringify(storm))
    assert.deepEqual(others, [])
    for (const name of ['storm', 'another']) (await driver.connect(target, identity(name), never)).socket.destroy()
  })

  it('takes many new identities at once for no storm', async () => {
    await using subject = await started(create)
    const { driver, target } = subject
    const events = eventsOf(driver)
    const connecting = Array.from({ length: 40 }, (_, n) => driver.connect(target, identity(`many-${n}`), never))
    for (const { socket } of await Promise.all(connecting)) socket.destroy()
    assert.deepEqual(events, [])
  })

  it('refuses streams once it no longer keeps identities apart, until it is restarted', async () => {
    await using subject = await started(create)
    const { driver, target, isolatedBy = ['SOCKS_USERNAME', 'SOCKS_PASSWORD'] } = subject
    ;(await driver.connect(target, identity('a'), never)).socket.destroy()
    await subject.loseIsolation()
    const events = eventsOf(driver)
    for (const name of ['a', 'b'])
      await assert.rejects(driver.connect(target, identity(name), never), (error: Error) => {
        assert.ok(error.message.includes(`does not isolate streams by ${isolatedBy.join(' and ')}`), error.message)
        return hasCode('worker_unreachable')(error)
      })
    assert.deepEqual(events, [{ type: 'isolation-missing', missing: isolatedBy }])
    await driver.stop(never)
    await subject.revive?.()
    await driver.start(never)
    ;(await driver.connect(target, identity('a'), never)).socket.destroy()
  })

  it('waits in silence while its relays are unreachable, and goes on when they are back', async (t) => {
    await using subject = await started(create)
    const { driver, target, blackhole } = subject
    if (!blackhole) return t.skip('relays cannot be made unreachable here')
    const running = await driver.connect(target, identity('a'), never)
    await blackhole(true)
    const patience = new AbortController()
    const connecting = driver.connect(target, identity('a'), patience.signal)
    running.socket.write(`GET /ip HTTP/1.0\r\nHost: ${target.host}\r\n\r\n`)
    const answer = text(running.socket)
    // It has a pulse all the same: only what goes through the network shows it.
    await driver.pulse(never)
    assert.deepEqual(await Promise.all([connecting, answer].map(isSettled)), [false, false])
    patience.abort(new Error('the client left'))
    await assert.rejects(connecting, /the client left/)
    await blackhole(false)
    assert.match(await answer, /^HTTP\/1\.[01] 200 /)
  })
}

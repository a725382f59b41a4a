import assert from 'node:assert/strict'
import { once } from 'node:events'
import { text } from 'node:stream/consumers'
import { describe, it } from 'node:test'
import type { ExitDemand } from '../../src/domain/identity.ts'
import type { Target } from '../../src/domain/worker.ts'
import { driverCareContract } from './driver-care-contract.ts'
import { assertLeft, type DriverSubject, hasCode, identity, never, started } from './driver-subject.ts'

const LIMIT_MS = 90_000

/** The promise of `src/workers/driver.ts`, sentence by sentence. Every driver passes it. */
export function driverContract(name: string, create: () => Promise<DriverSubject>): void {
  describe(`the ${name} driver keeps the promise of a worker driver`, { timeout: 4 * LIMIT_MS }, () => {
    it('starts once for two calls, and a start of a worker that is up changes nothing', async () => {
      await using subject = await create()
      const { driver } = subject
      const progress: number[] = []
      driver.onEvent((event) => event.type === 'progressed' && progress.push(event.progress))
      await Promise.all([driver.start(never), driver.start(never)])
      assert.equal(progress.at(-1), 100)
      assert.deepEqual(
        progress,
        [...progress].sort((a, b) => a - b),
      )
      const before = driver.observe()
      assert.equal(before.process, 'running')
      assert.equal(before.bootstrap.progress, 100)
      await driver.start(never)
      assert.deepEqual(driver.observe(), before)
    })

    it('leaves nothing behind when a start is aborted', async () => {
      await using subject = await create()
      const controller = new AbortController()
      const starting = subject.driver.start(controller.signal)
      controller.abort(new Error('changed my mind'))
      // A fake may have been quicker than the abort: then there is nothing to leave behind but the worker itself.
      const outcome = await starting.then(
        () => 'started',
        (error: Error) => error.message,
      )
      if (outcome === 'started') await subject.driver.stop(never)
      else assert.equal(outcome, 'changed my mind')
      await assertLeft(subject, 'stopped')
    })

    it('connects to the target and back, and names the exit', async () => {
      await using subject = await started(create)
      const { driver, target, exitNicknames } = subject
      const connection = await driver.connect(target, identity('a'), never)
      const exit = await connection.exit(5_000)
      // Not `end`: Tor takes a half-close for the end of the stream.
      connection.socket.write(`GET /ip HTTP/1.0\r\nHost: ${target.host}\r\n\r\n`)
      assert.match(await text(connection.socket), /^HTTP\/1\.[01] 200 /)
      assert.ok(exit, 'the exit is known')
      assert.ok(exitNicknames.includes(exit.nickname), `${exit.nickname} is an exit`)
      assert.match(exit.fingerprint, /^[0-9A-F]{40}$/)
      const path = await connection.path?.(5_000)
      if (connection.path) assert.ok(path && path.length >= 3, `${JSON.stringify(path)} is the whole circuit`)
      if (path) assert.equal(path.at(-1)?.fingerprint, exit.fingerprint)
    })

    it('keeps the exit of an identity, and gives identities different ones', async () => {
      await using subject = await started(create)
      const exitOf = async (name: string) => {
        const connection = await subject.driver.connect(subject.target, identity(name), never)
        const exit = await connection.exit(5_000)
        connection.socket.destroy()
        return exit?.nickname
      }
      const first = await exitOf('kept')
      assert.equal(await exitOf('kept'), first)
      const others = await Promise.all(Array.from({ length: 12 }, (_, n) => exitOf(`other-${n}`)))
      assert.ok(new Set(others).size > 1, `12 identities left by ${[...new Set(others)]}`)
    })

    it('gives an identity that demands certain exits one of those, keeps it, and names its country', async () => {
      await using subject = await started(create)
      const { driver, target, exitIn } = subject
      const exitOf = async (name: string, demand: Parameters<typeof identity>[1]) => {
        const connection = await driver.connect(target, identity(name, demand), never)
        const exit = await connection.exit(5_000)
        connection.socket.write(`GET /ip HTTP/1.0\r\nHost: ${target.host}\r\n\r\n`)
        assert.match(await text(connection.socket), /^HTTP\/1\.[01] 200 /)
        assert.ok(exit, 'the exit is known')
        return exit
      }
      const countries = Object.keys(exitIn)
      for (const country of countries) {
        const exit = await exitOf(`in-${country}`, { country })
        assert.deepEqual([exit.nickname, exit.country], [exitIn[country], country])
        const [one, ...others] = countries.filter((other) => other !== country)
        const outside = await exitOf(`outside-${country}`, { excludeCountries: [country, ...others] })
        assert.equal(outside.nickname, exitIn[one ?? ''])
      }
      const first = await exitOf('first', {})
      const distinct = await Promise.all(
        Array.from({ length: 8 }, (_, n) => exitOf(`distinct-${n}`, { notBy: [first.fingerprint] })),
      )
      assert.ok(distinct.every(({ fingerprint }) => fingerprint !== first.fingerprint))
      const again = await exitOf('distinct-0', { notBy: [first.fingerprint] })
      assert.equal(again.fingerprint, distinct[0]?.fingerprint)
    })

    it('connects by no exit at all rather than by one that does not fit', async () => {
      await using subject = await started(create)
      const { driver, target, onion, exitless, refused, unknown, exitIn, makesUpAddresses } = subject
      const [country = ''] = Object.keys(exitIn)
      const connect = (to: Target, demand: Partial<ExitDemand>) => driver.connect(to, identity('choosy', demand), never)
      const { fingerprint = '' } = (await (await connect(target, { country })).exit(5_000)) ?? {}
      const tooFew = hasCode('no_exit_for_country_port')
      await assert.rejects(connect(target, { country: 'aq' }), tooFew)
      await assert.rejects(connect(target, { excludeCountries: Object.keys(exitIn) }), tooFew)
      await assert.rejects(connect(target, { country, notBy: [fingerprint] }), tooFew)
      await assert.rejects(connect(onion, { country }), hasCode('exit_rule_unsupported'))
      await assert.rejects(connect(exitless, { country }), hasCode('exit_rule_unsupported'))
      await assert.rejects(connect(refused, { country }), hasCode('connection_refused', 'tor_failure'))
      await assert.rejects(connect(unknown, { country }), hasCode('resolve_failed'))
      const choosy = identity('choosy', { country })
      const unsupported = hasCode('exit_rule_unsupported')
      await assert.rejects(driver.resolve(onion.host, choosy, never), unsupported)
      if (makesUpAddresses) await assert.rejects(driver.resolve(target.host, choosy, never), unsupported)
      else {
        assert.match(await driver.resolve(target.host, choosy, never), /^\d+\.\d+\.\d+\.\d+$/)
        await assert.rejects(driver.resolve(unknown.host, choosy, never), hasCode('resolve_failed'))
      }
      if (makesUpAddresses)
        await assert.rejects(driver.resolve(target.host, identity('a'), never), hasCode('resolve_unsupported'))
      else assert.match(await driver.resolve(target.host, identity('a'), never), /^\d+\.\d+\.\d+\.\d+$/)
      const aborted = AbortSignal.abort(new Error('the client left'))
      await assert.rejects(driver.connect(target, choosy, aborted), /the client left/)
    })

    it('reaches an onion service, which has no exit', async () => {
      await using subject = await started(create)
      const connection = await subject.driver.connect(subject.onion, identity('onion'), never)
      assert.equal(await connection.exit(100), undefined)
      connection.socket.write(`GET /ip HTTP/1.0\r\nHost: ${subject.onion.host}\r\n\r\n`)
      assert.match(await text(connection.socket), /^HTTP\/1\.[01] 200 /)
    })

    it('tells a refused connection from a name that does not resolve', async () => {
      await using subject = await started(create)
      const { driver, refused, unknown } = subject
      await assert.rejects(driver.connect(refused, identity('a'), never), hasCode('connection_refused', 'tor_failure'))
      await assert.rejects(driver.connect(unknown, identity('a'), never), hasCode('resolve_failed'))
    })

    it('rejects an aborted connect with the reason of its signal', async () => {
      await using subject = await started(create)
      const reason = new Error('the client left')
      const aborted = AbortSignal.abort(reason)
      await assert.rejects(subject.driver.connect(subject.target, identity('a'), aborted), reason)
    })

    it('ends its connections when stopped, calls that no loss, and starts again', async () => {
      await using subject = await started(create)
      const { driver, target } = subject
      const losses: string[] = []
      driver.onEvent((event) => event.type === 'lost' && losses.push(event.reason))
      const { socket } = await driver.connect(target, identity('a'), never)
      socket.on('error', () => {})
      const closed = once(socket, 'close')
      await driver.stop(never)
      await closed
      assert.equal(driver.observe().process, 'stopped')
      await assertLeft(subject, 'stopped')
      await assert.rejects(driver.connect(target, identity('a'), never), hasCode('worker_unreachable'))
      await driver.stop(never)
      await driver.start(never)
      ;(await driver.connect(target, identity('a'), never)).socket.destroy()
      assert.deepEqual(losses, [])
    })

    it('tells of a crash once, at once, and can be started again', async () => {
      await using subject = await started(create)
      const { driver, target } = subject
      const losses: string[] = []
      const lost = new Promise<void>((resolve) => {
        driver.onEvent((event) => {
          if (event.type !== 'lost') return
          losses.push(event.reason)
          resolve()
        })
      })
      await subject.crash()
      await lost
      assert.equal(driver.observe().process, 'exited')
      assert.ok(driver.observe().problem)
      await assert.rejects(driver.connect(target, identity('a'), never), hasCode('worker_unreachable'))
      await subject.revive?.()
      await driver.start(never)
      ;(await driver.connect(target, identity('a'), never)).socket.destroy()
      assert.equal(losses.length, 1)
    })

    driverCareContract(create)

    it('leaves nothing behind when disposed', async () => {
      const subject = await started(create)
      await subject.driver[Symbol.asyncDispose]()
      await assertLeft(subject, 'disposed of')
      await subject[Symbol.asyncDispose]()
    })
  })
}

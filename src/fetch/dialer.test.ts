import assert from 'node:assert/strict'
import { once } from 'node:events'
import type { Socket } from 'node:net'
import { describe, it } from 'node:test'
import type { CbtorError } from '../domain/errors.ts'
import type { TunnelRequest } from '../domain/exchange.ts'
import type { ProblemCode } from '../domain/problems.ts'
import { createFetchLab, turns } from './test-fetch-lab.ts'
import { EXIT, own, TestServer } from './test-lab.ts'

const never = new AbortController().signal
const ONION = 'duckduckgogg42xjoc72x3sjasowoarfbgcmvfimaftt6twagswzczad.onion'

describe('Dialer', { timeout: 20_000 }, () => {
  it('opens a tunnel, says what the client said first, and holds on to the worker until it is disposed', async () => {
    await using lab = await createTunnelLab()
    const tunnel = await lab.open({ host: 'A.test.' }, 'hello')
    assert.equal(tunnel.worker, 'w1')
    assert.equal(String((await once(tunnel.socket, 'data'))[0]), 'hello')
    assert.deepEqual(await tunnel.exit(0), EXIT)
    assert.deepEqual(lab.workers.dials[0]?.target, { host: 'a.test', port: 80 })
    assert.deepEqual(lab.workers.reports, [['w1', 'ok']])
    assert.deepEqual(lab.workers.standing, ['w1'])
    assert.equal(lab.workers.leases, 1)
    assert.equal(lab.clock.pending, 0)

    tunnel[Symbol.dispose]()
    await lab.echo.allClosed()
    assert.equal(lab.workers.leases, 0)
    assert.deepEqual(lab.workers.forgotten, [])
  })

  it('goes on to other workers as a fetch does, and tells of all of them', async () => {
    await using lab = await createTunnelLab()
    lab.workers.faults.set('w1', 'worker_unreachable').set('w2', 'tor_failure')
    using tunnel = await lab.open({}, 'twice')
    assert.equal(tunnel.worker, 'w3')
    assert.deepEqual(
      lab.workers.reports.map(([, outcome]) => outcome),
      ['worker_unreachable', 'tor_failure', 'ok'],
    )

    lab.workers.faults.clear()
    lab.workers.network.set('a.test:80', 'connection_refused')
    const error = await lab.fails({}, 'connection_refused')
    assert.deepEqual(
      error.attempts.map(({ outcome }) => outcome),
      ['connection_refused', 'connection_refused'],
    )
    assert.equal(lab.workers.leases, 1)
  })

  it('refuses what the target policy refuses before it asks for a worker', async () => {
    await using lab = await createTunnelLab()
    const cases: [Partial<TunnelRequest>, ProblemCode][] = [
      [{ host: '127.0.0.1' }, 'target_forbidden'],
      [{ host: '::1' }, 'target_forbidden'],
      [{ host: 'a.test', port: 25 }, 'port_not_allowed'],
      [{ host: 'a.test', port: 0 }, 'port_invalid'],
      [{ host: 'a.test/x' }, 'host_invalid'],
      [{ host: 'abc.onion' }, 'onion_address_invalid'],
    ]
    for (const [changes, code] of cases) await lab.fails(changes, code)
    assert.deepEqual(lab.workers.selections, [])
    await lab.fails({ workerId: 'w9' }, 'no_worker')
  })

  it('gives up a worker that takes long when there is another, and never waits for ever', async () => {
    await using lab = await createTunnelLab()
    lab.workers.faults.set('w1', 'hang')
    using tunnel = await lab.passUntil(lab.open({}))
    assert.equal(tunnel.worker, 'w2')
    assert.deepEqual(lab.workers.reports[0], ['w1', 'tor_timeout'])
    assert.deepEqual(lab.workers.stalls, [['w1', 'connect']])

    lab.workers.down.add('w2').add('w3')
    const startedAt = lab.clock.monotonic()
    await lab.passUntil(lab.fails({ workerId: 'w1' }, 'tor_timeout'))
    assert.equal(lab.clock.monotonic() - startedAt, 60_000)
    await lab.passUntil(lab.fails({ workerId: 'w1', host: ONION }, 'tor_timeout'))
    assert.equal(lab.clock.monotonic() - startedAt, 180_000)
    assert.equal(lab.clock.pending, 0)
    assert.equal(lab.workers.leases, 1)
  })

  it('leaves a worker that is stalled and not trusted, or lost, while it connects', async () => {
    await using lab = await createTunnelLab()
    lab.workers.faults.set('w1', 'hang').set('w2', 'hang')
    const opening = lab.open({})
    await lab.clock.advance(2_000)
    lab.fetcher.abandonStalled('w1', 'it does not answer')
    await turns()
    lab.fetcher.abandonWorker('w2', 'Tor has exited')
    using tunnel = await opening
    assert.equal(tunnel.worker, 'w3')
  })

  it('ends a tunnel that stands with its worker, and not while that is only in doubt', async () => {
    await using lab = await createTunnelLab()
    using tunnel = await lab.open({})
    await lab.clock.advance(10_000)
    lab.fetcher.abandonStalled('w1', 'it does not answer')
    await turns()
    assert.equal(tunnel.socket.destroyed, false)
    lab.fetcher.abandonWorker('w2', 'Tor has exited')
    assert.equal(tunnel.socket.destroyed, false)
    lab.fetcher.abandonWorker('w1', 'Tor has exited')
    assert.equal(tunnel.socket.destroyed, true)
  })

  it('knows the end of a worker, which its sockets tell first, from the end of the target', async () => {
    await using lab = await createTunnelLab()
    for (const isLost of [false, true]) {
      using tunnel = await lab.open({ workerId: 'w1' })
      const asked = tunnel.lost()
      if (isLost) lab.fetcher.abandonWorker('w1', 'Tor has exited')
      await lab.clock.advance(1_000)
      assert.equal(await asked, isLost)
    }
  })

  it('ends with its client at every moment, and with the service', async () => {
    await using lab = await createTunnelLab()
    const gone = new AbortController()
    lab.workers.faults.set('w1', 'hang')
    const opening = lab.open({}, undefined, gone.signal)
    gone.abort(new Error('gone'))
    await assert.rejects(opening, /gone/)
    await assert.rejects(lab.open({}, undefined, gone.signal), /gone/)

    const leaving = new AbortController()
    using left = await lab.open({ workerId: 'w2' }, undefined, leaving.signal)
    leaving.abort(new Error('gone'))
    assert.equal(left.socket.destroyed, true)

    using last = await lab.open({ workerId: 'w2' })
    lab.fetcher[Symbol.dispose]()
    assert.equal(last.socket.destroyed, true)
    await lab.fails({}, 'shutting_down')
  })

  it('has the worker forget an identity of its own when the tunnel has ended, and not before', async () => {
    await using lab = await createTunnelLab()
    const tunnel = await lab.open({ isolation: 'request' })
    assert.deepEqual(lab.workers.forgotten, [])
    tunnel[Symbol.dispose]()
    assert.deepEqual(lab.workers.forgotten, [['w1', lab.workers.dials[0]?.token]])
  })

  it('is of the session that its key names, and brings it along', async () => {
    await using lab = await createTunnelLab()
    const tunnel = await lab.open({ stickyKey: 'me', sessionTtlMs: 1_000 })
    await turns()
    const { worker, exit, requests } = lab.fetcher.sessions.get(own('me'))
    assert.deepEqual([worker, exit, requests], ['w1', EXIT, 1])
    const answer = await lab.fetch('http://b.test/', { stickyKey: 'me' })
    assert.equal(answer.worker, 'w1')
    assert.equal(lab.workers.dials[0]?.token, lab.workers.dials[1]?.token)
    await lab.clock.advance(3_600_000)
    assert.equal(lab.fetcher.sessions.list().length, 1, 'a tunnel that stands is use')

    lab.workers.faults.set('w1', 'worker_unreachable')
    using second = await lab.open({ stickyKey: 'me' })
    assert.equal(second.worker, 'w2')
    assert.deepEqual(lab.moved, ['w2'])
    assert.equal(lab.fetcher.sessions.get(own('me')).worker, 'w2')
    await lab.fails({ stickyKey: 'me', onLoss: 'fail', workerId: 'w1' }, 'worker_unreachable')
    lab.workers.faults.set('w2', 'worker_unreachable')
    await lab.fails({ stickyKey: 'me', onLoss: 'fail' }, 'session_worker_lost')
    tunnel[Symbol.dispose]()
  })

  it('does not move a session for what the target can bring about', async () => {
    await using lab = await createTunnelLab()
    lab.workers.network.set('a.test:80', 'connection_refused')
    const error = await lab.fails({ stickyKey: 'me' }, 'connection_refused')
    assert.equal(error.attempts.length, 1)
  })

  it('brings the retry budget as much as a request, however long it stands', async () => {
    await using lab = await createTunnelLab()
    const tunnels = new DisposableStack()
    for (let n = 0; n < 10; n++) tunnels.use(await lab.open({}))
    await lab.clock.advance(11_000)
    lab.workers.faults.set('w1', 'tor_timeout').set('w2', 'tor_timeout').set('w3', 'tor_timeout')
    let tries = 0
    for (let n = 0; n < 20; n++) tries += (await lab.passUntil(lab.fails({}, 'tor_timeout'))).attempts.length
    // Ten retries are always free within ten seconds.
    assert.ok(tries <= 20 + 10 + 4, `${tries} tries`)
    tunnels.dispose()
  })

  it('looks up names by the same rules', async () => {
    await using lab = await createTunnelLab()
    lab.workers.network.set('a.test:0', lab.echo.port)
    lab.workers.faults.set('w1', 'worker_unreachable')
    const resolve = (host: string) => lab.fetcher.dialer.resolve({ host, isolation: 'request' }, never)
    assert.equal(await resolve('A.test'), '198.51.100.1')
    assert.deepEqual(lab.workers.reports, [
      ['w1', 'worker_unreachable'],
      ['w2', 'ok'],
    ])
    assert.equal(lab.workers.forgotten.length, 2)
    await assert.rejects(resolve('localhost'), { code: 'target_forbidden' })
    await assert.rejects(resolve(ONION), { code: 'resolve_failed' })
    await assert.rejects(resolve('nowhere.test'), { code: 'resolve_failed' })
    assert.equal(lab.workers.leases, 0)
    assert.equal(lab.clock.pending, 0)
  })
})

async function createTunnelLab() {
  const moved: string[] = []
  const lab = await createFetchLab(undefined, { onSessionMoved: (worker) => void moved.push(worker) })
  const echo = await TestServer.tcp((socket: Socket) => socket.pipe(socket))
  lab.use('a.test:80', echo)
  await lab.serve('b.test:80', (_, response) => response.end('ok'))
  const open = (changes: Partial<TunnelRequest>, early?: string, signal = never) =>
    lab.fetcher.dialer.open(
      { host: 'a.test', port: 80, isolation: 'destination', ...changes },
      early === undefined ? undefined : Buffer.from(early),
      signal,
    )
  return {
    ...lab,
    ...{ echo, moved, open },
    async fails(changes: Partial<TunnelRequest>, code: ProblemCode): Promise<CbtorError> {
      const error = await open(changes).then(
        () => assert.fail('The tunnel was opened'),
        (error: CbtorError) => error,
      )
      assert.equal(error.code, code, error.stack)
      return error
    },
  }
}

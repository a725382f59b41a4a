import assert from 'node:assert/strict'
import { describe, it } from 'node:test'
import fc from 'fast-check'
import type { ProblemCode } from '../domain/problems.ts'
import { LINES, type LineRequest } from './order.ts'
import { createFetchLab } from './test-fetch-lab.ts'
import { type Behaviour, EXIT, own, TestServer } from './test-lab.ts'

const ME = { stickyKey: 'me' }

describe('sessions of sticky keys', { timeout: 30_000 }, () => {
  it('stays on its worker until that is lost, moves once, says so, and does not move back', async () => {
    await using lab = await createFetchLab()
    await lab.serve('a.test:80', (_, response) => response.end('ok'))
    const fetch = async () => {
      const { worker, sessionMoved } = await lab.fetch('http://a.test/', ME)
      return sessionMoved ? `moved to ${worker}` : worker
    }
    assert.deepEqual([await fetch(), await fetch(), await fetch()], ['w1', 'w1', 'w1'])
    assert.deepEqual(lab.workers.selections.slice(0, 2), [
      { key: 'me', mode: 'sticky' },
      { key: 'me', workerId: 'w1' },
    ])
    lab.workers.down.add('w1')
    assert.deepEqual([await fetch(), await fetch()], ['moved to w2', 'w2'])
    lab.workers.down.clear()
    assert.deepEqual([await fetch(), await fetch()], ['w2', 'w2'])
    assert.equal(lab.fetcher.sessions.get(own('me')).worker, 'w2')
    assert.deepEqual(lab.fetcher.sessions.get(own('me')).exit, EXIT)
    assert.equal(lab.fetcher.sessions.list()[0]?.requests, 7)
  })

  it('moves with a request that its worker could not carry, and not with one that the target may have refused', async () => {
    const cases: [fault: Behaviour, ends: string][] = [
      ['worker_unreachable', 'w2 moved'],
      ['worker_network', 'w2 moved'],
      ['tor_timeout', 'w2 moved'],
      ['tor_failure', 'tor_failure'],
      ['no_usable_exit', 'no_usable_exit'],
      ['exit_policy', 'exit_policy'],
      ['resolve_failed', 'resolve_failed'],
      ['connection_refused', 'connection_refused'],
      ['onion_intro_timeout', 'onion_intro_timeout'],
      ['onion_auth_required', 'onion_auth_required'],
    ]
    for (const [fault, ends] of cases) {
      await using lab = await createFetchLab()
      await lab.serve('a.test:80', (_, response) => response.end('ok'))
      await lab.fetch('http://a.test/', ME)
      lab.workers.faults.set('w1', fault)
      const told = await lab.fetch('http://a.test/', { ...ME, method: 'POST' }).then(
        ({ worker, sessionMoved }) => `${worker} ${sessionMoved ? 'moved' : ''}`,
        ({ code }) => code,
      )
      assert.equal(told, ends)
      assert.equal(lab.workers.leases, 0)
    }
  })

  it('asks its own worker again when a connection got lost, before it leaves it', async () => {
    await using lab = await createFetchLab()
    let isBroken = true
    lab.use(
      'a.test:80',
      await TestServer.tcp((socket) =>
        socket.on('data', () => {
          if (isBroken) socket.resetAndDestroy()
          else socket.end('HTTP/1.1 200 OK\r\ncontent-length: 0\r\n\r\n')
          isBroken = false
        }),
      ),
    )
    const answer = await lab.fetch('http://a.test/', ME)
    assert.deepEqual(
      answer.attempts.map(({ worker, outcome }) => `${worker} ${outcome}`),
      ['w1 connection_lost', 'w1 ok'],
    )
  })

  it('never leaves by a second exit because of the target, which then has met one worker only', async () => {
    await using lab = await createFetchLab()
    await lab.serve('a.test:80', (_, response) => response.end('ok'))
    const closing = await TestServer.tcp((socket) => socket.on('data', () => socket.end()))
    lab.use('closing.test:80', closing)
    lab.use('closing.test:443', closing)
    lab.use('garbage.test:443', await TestServer.tcp((socket) => socket.end('garbage')))
    await lab.fetch('http://a.test/', ME)
    const cases: [url: string, code: ProblemCode, attempts: number][] = [
      ['http://closing.test/', 'connection_lost', 2],
      ['https://closing.test/', 'tls_handshake_lost', 2],
      ['https://garbage.test/', 'tls_not_spoken', 1],
      ['http://unknown.test/', 'resolve_failed', 1],
    ]
    for (const [url, code, attempts] of cases) {
      const error = await lab.fails(url, code, ME)
      assert.deepEqual(
        error.attempts.map(({ worker, outcome }) => `${worker} ${outcome}`),
        Array(attempts).fill(`w1 ${code}`),
      )
    }
    assert.deepEqual([...new Set(lab.workers.dials.map(({ worker }) => worker))], ['w1'])
    assert.deepEqual([...new Set(lab.workers.dials.map(({ token }) => token))].length, 1)
    assert.equal(lab.fetcher.sessions.get(own('me')).worker, 'w1')
    assert.equal(lab.workers.leases, 0)
  })

  it('waits for a slow TLS handshake where it is, and leaves a worker whose Tor is as slow', async () => {
    await using lab = await createFetchLab()
    await lab.serve('a.test:80', (_, response) => response.end('ok'))
    const silent = lab.use('silent.test:443', await TestServer.tcp((socket) => socket.resume()))
    const waiting = lab.fails('https://silent.test/', 'timeout', { ...ME, timeoutMs: 30_000 })
    while (silent.sockets.size === 0) await new Promise(setImmediate)
    await lab.clock.advance(30_000)
    assert.deepEqual((await waiting).attempts, [{ worker: 'w1', outcome: 'timeout', ms: 30_000 }])

    lab.workers.faults.set('w1', 'hang')
    const moving = lab.fetch('http://a.test/', { ...ME, timeoutMs: 30_000 })
    await lab.clock.advance(15_000)
    assert.equal((await moving).attempts[0]?.outcome, 'tor_timeout')
    assert.equal(lab.fetcher.sessions.get(own('me')).worker, 'w2')
  })

  it('waits for a worker that is about to come, rather than move', async () => {
    const waiting = new Map<string, () => void>()
    const enter = <T>({ attempt }: LineRequest<T>): T | Promise<T> => {
      const outcome = attempt()
      if ('taken' in outcome) return outcome.taken
      assert.equal(outcome.refusal.code, 'overloaded')
      return new Promise((resolve) => waiting.set(outcome.line, () => resolve(enter({ attempt } as LineRequest<T>))))
    }
    await using lab = await createFetchLab(undefined, { order: { lines: { enter } } })
    await lab.serve('a.test:80', (_, response) => response.end('ok'))
    await lab.fetch('http://a.test/', ME)
    lab.workers.down.add('w1')
    lab.workers.coming.add('w1')
    const later = lab.fetch('http://a.test/', ME)
    assert.equal((await lab.fetch('http://a.test/')).worker, 'w2', 'others do not wait')
    lab.workers.down.clear()
    waiting.get(LINES.worker('w1'))?.()
    const { worker, sessionMoved } = await later
    assert.deepEqual([worker, sessionMoved], ['w1', undefined])
    lab.workers.down.add('w1')
    lab.workers.coming.clear()
    assert.equal((await lab.fetch('http://a.test/', ME)).sessionMoved, true, 'it did not come')
  })

  it('fails instead of moving when told so, but may still find its first worker', async () => {
    await using lab = await createFetchLab()
    await lab.serve('a.test:80', (_, response) => response.end('ok'))
    const stay = { ...ME, onLoss: 'fail' } as const
    lab.workers.faults.set('w1', 'worker_unreachable')
    assert.equal((await lab.fetch('http://a.test/', stay)).worker, 'w2')

    lab.workers.faults.set('w2', 'worker_unreachable')
    const failing = await lab.fails('http://a.test/', 'session_worker_lost', { ...stay, method: 'POST' })
    assert.deepEqual(failing.attempts, [{ worker: 'w2', outcome: 'worker_unreachable', ms: 0 }])
    lab.workers.faults.set('w2', 'tor_failure')
    await lab.fails('http://a.test/', 'tor_failure', { ...stay, method: 'POST' })
    lab.workers.down.add('w2')
    assert.deepEqual((await lab.fails('http://a.test/', 'session_worker_lost', stay)).attempts, [])
    lab.workers.down.clear()
    lab.workers.faults.clear()
    const { worker, sessionMoved } = await lab.fetch('http://a.test/', stay)
    assert.deepEqual({ worker, sessionMoved }, { worker: 'w2', sessionMoved: undefined })
    assert.equal(lab.workers.leases, 0)
  })

  it('has another identity and other connections after a rotation, and after its end', async () => {
    await using lab = await createFetchLab()
    const server = await lab.serve('a.test:80', (_, response) => response.end('ok'))
    const fetch = () => lab.fetch('http://a.test/', ME)
    await fetch()
    assert.equal((await fetch()).connectionReused, true)
    assert.equal(lab.fetcher.rotateSession(own('me')).generation, 1)
    assert.equal(lab.fetcher.connections.idle, 0)
    assert.equal((await fetch()).connectionReused, false)
    lab.fetcher.endSession(own('me'))
    assert.deepEqual(lab.fetcher.sessions.list(), [])
    assert.throws(() => lab.fetcher.rotateSession(own('me')), { code: 'session_not_found' })
    await fetch()
    assert.equal(lab.fetcher.sessions.get(own('me')).generation, 2)
    assert.equal(new Set(lab.workers.dials.map(({ token }) => token)).size, 3)
    assert.equal(server.accepted, 3)
  })

  it('tells of another exit on the same worker', async () => {
    await using lab = await createFetchLab()
    await lab.serve('a.test:80', (_, response) => response.end('ok'))
    const moved: (boolean | undefined)[] = []
    for (const letter of ['A', 'A', 'B', 'B']) {
      lab.workers.askExit = async () => ({ nickname: letter, fingerprint: letter.repeat(40) })
      moved.push((await lab.fetch('http://a.test/', ME)).sessionMoved)
    }
    assert.deepEqual(moved, [undefined, undefined, true, undefined])
  })

  it('has nothing to do with requests that name their worker, but for the identity', async () => {
    await using lab = await createFetchLab()
    await lab.serve('a.test:80', (_, response) => response.end('ok'))
    await lab.fetch('http://a.test/', { ...ME, workerId: 'w3' })
    assert.deepEqual(lab.fetcher.sessions.list(), [])
    await lab.fetch('http://a.test/', { ...ME, method: 'POST' })
    lab.fetcher.rotateSession(own('me'))
    await lab.fetch('http://a.test/', { ...ME, workerId: 'w3' })
    const [first, second, third] = lab.workers.dials.map(({ token }) => token)
    assert.equal(first, second)
    assert.notEqual(third, first)
    assert.equal(lab.fetcher.sessions.get(own('me')).requests, 0)
  })

  it('never changes its worker silently nor without need, whatever is lost, at once or in turn', async () => {
    const worker = fc.constantFrom('w1', 'w2', 'w3')
    const step = fc.oneof(
      fc.record({ do: fc.constantFrom('down' as const, 'up' as const), worker }),
      fc.record({
        do: fc.constant('break' as const),
        worker,
        fault: fc.constantFrom('worker_unreachable', 'tor_failure'),
      }),
      fc.record({ do: fc.constant('fetch' as const), count: fc.integer({ min: 1, max: 3 }) }),
      fc.record({ do: fc.constantFrom('rotate' as const, 'abandon' as const) }),
    )
    await fc.assert(
      fc.asyncProperty(fc.array(step, { maxLength: 25 }), async (steps) => {
        await using lab = await createFetchLab()
        await lab.serve('a.test:80', (_, response) => response.end('ok'))
        let last: string | undefined
        const isWell = (id: string) => !lab.workers.down.has(id) && !lab.workers.faults.has(id)
        for (const step of steps) {
          if (step.do === 'down') lab.workers.down.add(step.worker)
          if (step.do === 'up') {
            lab.workers.down.delete(step.worker)
            lab.workers.faults.delete(step.worker)
          }
          if (step.do === 'break') lab.workers.faults.set(step.worker, step.fault as Behaviour)
          if (step.do === 'abandon' && last !== undefined) lab.fetcher.abandonWorker(last, 'it is dead')
          if (step.do === 'rotate' && lab.fetcher.sessions.list().length > 0) {
            lab.fetcher.rotateSession(own('me'))
            last = undefined
          }
          if (step.do !== 'fetch') continue
          const home = lab.fetcher.sessions.list()[0]?.worker
          const fetches = Array.from({ length: step.count }, async () => {
            const { worker, sessionMoved = false } = await lab.fetch('http://a.test/', { ...ME, method: 'POST' })
            assert.equal(sessionMoved, last !== undefined && last !== worker)
            if (home !== undefined && isWell(home)) assert.equal(worker, home)
            last = worker
          })
          await lab.passUntil(Promise.allSettled(fetches)).then((all) => {
            for (const each of all)
              if (each.status === 'rejected') assert.notEqual(each.reason.name, 'AssertionError', each.reason.message)
          })
          assert.equal(lab.workers.leases, 0)
        }
      }),
      { numRuns: 60 },
    )
  })
})

import assert from 'node:assert/strict'
import { describe, it } from 'node:test'
import { setImmediate } from 'node:timers/promises'
import fc from 'fast-check'
import type { ProblemCode } from '../domain/problems.ts'
import { createFetchLab } from './test-fetch-lab.ts'
import { type Behaviour, bodyOf, TestServer } from './test-lab.ts'

describe('failover', { timeout: 30_000 }, () => {
  it('goes on to the next worker when one cannot connect, whatever the method', async () => {
    await using lab = await createFetchLab()
    await lab.serve('a.test:80', async (request, response) => void response.end(await bodyOf(request)))
    lab.workers.faults.set('w1', 'worker_unreachable').set('w2', 'tor_failure')
    for (const method of ['GET', 'POST']) {
      lab.workers.rewind()
      const answer = await lab.fetch('http://a.test/', { method, body: Buffer.from('body') })
      assert.equal(answer.worker, 'w3')
      assert.equal(Buffer.from(answer.body).toString(), 'body')
      assert.deepEqual(answer.attempts, [
        { worker: 'w1', outcome: 'worker_unreachable', ms: 0 },
        { worker: 'w2', outcome: 'tor_failure', ms: 0 },
        { worker: 'w3', outcome: 'ok', ms: 0 },
      ])
    }
    assert.deepEqual(lab.workers.reports.slice(0, 3), [
      ['w1', 'worker_unreachable'],
      ['w2', 'tor_failure'],
      ['w3', 'ok'],
    ])
    assert.equal(lab.workers.leases, 0)
  })

  it('tells the most telling fault when every worker fails, with all attempts', async () => {
    const cases: [w1: Behaviour, w2: Behaviour, w3: Behaviour, code: ProblemCode, attempts: number][] = [
      ['worker_unreachable', 'worker_unreachable', 'worker_unreachable', 'worker_unreachable', 3],
      ['connection_refused', 'tor_failure', 'worker_unreachable', 'connection_refused', 3],
      ['resolve_failed', 'resolve_failed', 'tor_failure', 'resolve_failed', 2],
      ['onion_auth_required', 'tor_failure', 'tor_failure', 'onion_auth_required', 1],
      ['tor_failure', 'exit_policy', 'exit_policy', 'exit_policy', 3],
      ['tor_failure', 'tor_failure', 'worker_unreachable', 'tor_failure', 2],
      ['tor_failure', 'no_usable_exit', 'worker_unreachable', 'no_usable_exit', 2],
      ['target_forbidden', 'tor_failure', 'tor_failure', 'target_forbidden', 1],
    ]
    for (const [w1, w2, w3, code, attempts] of cases) {
      await using lab = await createFetchLab()
      lab.workers.faults.set('w1', w1).set('w2', w2).set('w3', w3)
      const error = await lab.fails('http://a.test/', code)
      assert.equal(error.attempts.length, attempts, code)
      assert.deepEqual(
        lab.workers.reports,
        error.attempts.map(({ worker, outcome }) => [worker, outcome]),
      )
      assert.equal(lab.workers.leases, 0)
    }
  })

  it('repeats what got lost on another worker only when sending twice does no harm', async () => {
    await using lab = await createFetchLab()
    let requests = 0
    const dropping = await TestServer.tcp((socket) =>
      socket.on('data', () => {
        requests++
        socket.resetAndDestroy()
      }),
    )
    lab.use('dropping.test:80', dropping)
    await lab.serve('a.test:80', (_, response) => response.end('ok'))
    lab.workers.faults.set('w1', dropping.port)

    const answer = await lab.fetch('http://a.test/', { method: 'PUT', body: Buffer.from('x') })
    assert.equal(answer.worker, 'w2')
    assert.equal(answer.attempts[0]?.outcome, 'connection_lost')
    assert.equal(requests, 1)

    lab.workers.rewind()
    const error = await lab.fails('http://a.test/', 'connection_lost', { method: 'POST' })
    assert.equal(error.attempts.length, 1)
    assert.equal(requests, 2)
  })

  it('does not go elsewhere once another worker was named', async () => {
    await using lab = await createFetchLab()
    lab.workers.faults.set('w2', 'tor_failure')
    const error = await lab.fails('http://a.test/', 'tor_failure', { workerId: 'w2' })
    assert.deepEqual(error.attempts, [{ worker: 'w2', outcome: 'tor_failure', ms: 0 }])
  })

  it('leaves a worker that connects too slowly for another, but not for none', async () => {
    await using lab = await createFetchLab()
    await lab.serve('a.test:80', (_, response) => response.end('ok'))
    lab.workers.faults.set('w1', 'hang')
    const fetching = lab.fetch('http://a.test/', { timeoutMs: 30_000 })
    await lab.clock.advance(15_000)
    assert.deepEqual((await fetching).attempts, [
      { worker: 'w1', outcome: 'tor_timeout', ms: 15_000 },
      { worker: 'w2', outcome: 'ok', ms: 0 },
    ])

    const failing = lab.fails('http://a.test/', 'tor_timeout', { timeoutMs: 30_000, workerId: 'w1' })
    await lab.clock.advance(30_000)
    assert.deepEqual((await failing).attempts, [{ worker: 'w1', outcome: 'tor_timeout', ms: 30_000 }])
    assert.equal(lab.clock.pending, 0)
    assert.equal(lab.workers.leases, 0)
  })

  it('blames the target when it is slow in the TLS handshake', async () => {
    await using lab = await createFetchLab()
    const reached = Promise.withResolvers<void>()
    lab.use('a.test:443', await TestServer.tcp((socket) => socket.on('data', () => reached.resolve())))
    lab.workers.faults.set('w2', 'tor_failure').set('w3', 'tor_failure')
    const failing = lab.fails('https://a.test/', 'tls_failure', { timeoutMs: 30_000 })
    await reached.promise
    await lab.clock.advance(15_000)
    const outcomes = (await failing).attempts.map(({ outcome }) => outcome)
    assert.deepEqual(outcomes, ['tls_failure', 'tor_failure', 'tor_failure'])
  })

  it('moves requests on at once when their worker is given up', async () => {
    await using lab = await createFetchLab()
    const reached = Promise.withResolvers<void>()
    const silent = lab.use(
      'silent.test:80',
      await TestServer.tcp((socket) => socket.on('data', () => reached.resolve())),
    )
    await lab.serve('a.test:80', (_, response) => response.end('ok'))
    lab.workers.network.set('b.test:80', lab.workers.network.get('a.test:80') ?? 'tor_failure')
    lab.workers.faults.set('w1', silent.port).set('w2', 'hang')
    const waiting = lab.fetch('http://a.test/')
    await reached.promise
    const connecting = lab.fetch('http://b.test/')
    await setImmediate()

    lab.fetcher.abandonWorker('w2', 'Tor has exited')
    assert.equal((await connecting).worker, 'w3')
    lab.workers.faults.delete('w2')
    lab.fetcher.abandonWorker('w1', 'Tor has exited')
    assert.equal((await waiting).attempts[0]?.outcome, 'worker_unreachable')
    await silent.allClosed()
  })

  it('keeps the worker on which it succeeded for the next redirect, and leaves it when it fails', async () => {
    await using lab = await createFetchLab()
    await lab.serve('a.test:80', (_, response) => {
      lab.workers.faults.set('w2', 'tor_failure')
      response.writeHead(302, { location: 'http://b.test/' }).end()
    })
    await lab.serve('b.test:80', (_, response) => response.end('ok'))
    lab.workers.faults.set('w1', 'worker_unreachable')
    const answer = await lab.fetch('http://a.test/')
    assert.deepEqual(
      answer.attempts.map(({ worker, outcome }) => `${worker} ${outcome}`),
      ['w1 worker_unreachable', 'w2 tor_failure', 'w3 ok'],
    )
    assert.equal(answer.redirects.length, 1)
  })

  it('pauses before a third try when two workers had the same trouble', async () => {
    await using lab = await createFetchLab()
    await lab.serve('a.test:80', (_, response) => response.end('ok'))
    lab.workers.faults.set('w1', 'exit_policy').set('w2', 'exit_policy')
    const answer = await lab.passUntil(lab.fetch('http://a.test/'), 10)
    assert.equal(answer.worker, 'w3')
    assert.ok(answer.timing.totalMs > 0 && answer.timing.totalMs <= 500, `${answer.timing.totalMs} ms`)
    assert.ok(answer.attempts.every(({ ms }) => ms === 0))
    assert.equal(lab.clock.pending, 1, 'the connection that waits')

    const leaving = lab.fails('http://b.test/', 'exit_policy', { timeoutMs: 1 })
    lab.workers.faults.set('w3', 'exit_policy')
    await lab.clock.advance(1)
    assert.equal((await leaving).attempts.length, 2)
    assert.equal(lab.workers.leases, 0)
  })

  it('answers with the first failure once the retry budget is used up, but still leaves a dead worker', async () => {
    await using lab = await createFetchLab()
    await lab.serve('a.test:80', (_, response) => response.end('ok'))
    lab.workers.faults.set('w1', 'tor_failure')
    const tries: number[] = []
    for (let n = 0; n < 40; n++) {
      lab.workers.rewind()
      await lab.fetch('http://a.test/', { method: 'POST' }).then(
        ({ attempts }) => tries.push(attempts.length),
        ({ code, attempts }) => {
          assert.equal(code, 'tor_failure')
          tries.push(attempts.length)
        },
      )
    }
    assert.equal(tries.filter((count) => count === 2).length, 10)
    assert.equal(tries.at(-1), 1)
    lab.workers.rewind()
    lab.workers.faults.set('w1', 'worker_unreachable')
    assert.equal((await lab.fetch('http://a.test/', { method: 'POST' })).worker, 'w2')
    assert.equal(lab.workers.leases, 0)
  })

  it('never sends a POST twice, nor any request more than three times, whatever fails', async () => {
    type Fate = 'ok' | 'reset' | 'half' | 'refuse' | 'unreachable' | 'garbage'
    const fates = fc.array(fc.constantFrom<Fate>('ok', 'reset', 'half', 'refuse', 'unreachable', 'garbage'), {
      minLength: 3,
      maxLength: 3,
    })
    await fc.assert(
      fc.asyncProperty(fates, fc.constantFrom('POST', 'PATCH', 'GET', 'PUT'), async (script, method) => {
        await using lab = await createFetchLab()
        let arrived = 0
        for (const [index, fate] of script.entries()) {
          const worker = `w${index + 1}`
          if (fate === 'refuse') lab.workers.faults.set(worker, 'connection_refused')
          else if (fate === 'unreachable') lab.workers.faults.set(worker, 'worker_unreachable')
          else {
            const server = await TestServer.tcp((socket) =>
              socket.once('data', () => {
                arrived++
                if (fate === 'ok') socket.end('HTTP/1.1 200 OK\r\ncontent-length: 0\r\n\r\n')
                else if (fate === 'half') socket.end('HTTP/1.1 200 OK\r\ncontent-length: 9\r\n\r\nx')
                else if (fate === 'garbage') socket.end('garbage')
                else socket.resetAndDestroy()
              }),
            )
            lab.use(`${worker}.test:80`, server)
            lab.workers.faults.set(worker, server.port)
          }
        }
        const settled = await Promise.allSettled([lab.fetch('http://a.test/', { method, body: Buffer.from('x') })])
        assert.ok(arrived <= (method === 'POST' || method === 'PATCH' ? 1 : 3), `${arrived} requests arrived`)
        const attempts = settled[0].status === 'fulfilled' ? settled[0].value.attempts : settled[0].reason.attempts
        assert.ok(attempts.length >= 1 && attempts.length <= 3)
        assert.equal(attempts.at(-1).outcome === 'ok', settled[0].status === 'fulfilled')
        assert.equal(lab.workers.leases, 0)
      }),
      { numRuns: 60 },
    )
  })
})

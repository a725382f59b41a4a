import assert from 'node:assert/strict'
import { describe, it } from 'node:test'
import { createFetchLab } from './test-fetch-lab.ts'
import { TestServer } from './test-lab.ts'

describe('hedging', { timeout: 20_000 }, () => {
  it('asks a second worker after 2 s, takes the first good answer and gives up the other', async () => {
    await using lab = await createFetchLab()
    const silent = await TestServer.tcp((socket) => socket.resume())
    lab.use('silent.test:80', silent)
    await lab.serve('a.test:80', (_, response) => response.end('ok'))
    for (const fault of [silent.port, 'hang'] as const) {
      lab.workers.rewind()
      lab.workers.faults.set('w1', fault)
      const answer = await lab.passUntil(lab.fetch('http://a.test/', { hedge: true, isolation: 'request' }))
      assert.equal(answer.hedged, true)
      assert.equal(answer.worker, 'w2')
      assert.deepEqual(
        answer.attempts.map(({ worker, outcome }) => `${worker} ${outcome}`),
        ['w1 hedge_lost', 'w2 ok'],
      )
      assert.ok(Number(answer.attempts[0]?.ms) >= 2_000)
    }
    await silent.allClosed()
    assert.deepEqual(lab.workers.reports.slice(0, 2), [
      ['w1', 'client_gone'],
      ['w2', 'ok'],
    ])
    assert.equal(lab.workers.leases, 0)
    assert.equal(lab.clock.pending, 0)
  })

  it('asks nobody when the first answers in time, or has begun to', async () => {
    await using lab = await createFetchLab()
    const server = await TestServer.tcp((socket) =>
      socket.once('data', async () => {
        socket.write('HTTP/1.1 200 OK\r\ncontent-length: 2\r\n\r\na')
        for (let turn = 0; turn < 20; turn++) await new Promise((resolve) => setImmediate(resolve))
        await lab.clock.advance(10_000)
        socket.write('b')
      }),
    )
    lab.use('a.test:80', server)
    const answer = await lab.fetch('http://a.test/', { hedge: true })
    assert.equal(answer.hedged, undefined)
    assert.deepEqual(answer.attempts.length, 1)
    assert.equal(server.accepted, 1)
  })

  it('does so only for what reads, is of no session and names no worker', async () => {
    await using lab = await createFetchLab()
    lab.use('a.test:80', await TestServer.tcp((socket) => socket.resume()))
    const cases = [{ method: 'POST' }, { method: 'PUT' }, { stickyKey: 'me' }, { workerId: 'w1' }, { hedge: false }]
    for (const changes of cases) {
      lab.workers.rewind()
      const failing = lab.fails('http://a.test/', 'timeout', { hedge: true, timeoutMs: 10_000, ...changes })
      assert.equal((await lab.passUntil(failing, 1_000)).attempts.length, 1, JSON.stringify(changes))
    }
  })

  it('waits for the other when one fails, and goes on to a third when both do', async () => {
    await using lab = await createFetchLab()
    const held = await TestServer.tcp((socket) =>
      socket.once('data', async () => {
        for (let turn = 0; turn < 20; turn++) await new Promise((resolve) => setImmediate(resolve))
        await lab.clock.advance(3_000)
        socket.end('HTTP/1.1 200 OK\r\ncontent-length: 0\r\n\r\n')
      }),
    )
    lab.use('a.test:80', held)
    lab.workers.faults.set('w2', 'tor_failure')
    const answer = await lab.fetch('http://a.test/', { hedge: true, isolation: 'request' })
    assert.equal(answer.worker, 'w1')
    assert.equal(answer.hedged, true)
    assert.deepEqual(
      answer.attempts.map(({ outcome }) => outcome),
      ['ok', 'tor_failure'],
    )

    await lab.serve('b.test:80', (_, response) => response.end('ok'))
    lab.workers.rewind()
    lab.workers.faults.set('w1', 'hang')
    const third = await lab.passUntil(lab.fetch('http://b.test/', { hedge: true, timeoutMs: 20_000 }))
    assert.deepEqual(
      third.attempts.map(({ worker, outcome }) => `${worker} ${outcome}`),
      ['w1 tor_timeout', 'w2 tor_failure', 'w3 ok'],
    )
    assert.equal(lab.workers.leases, 0)
  })

  it('ends both with the fetch', async () => {
    await using lab = await createFetchLab()
    const silent = await TestServer.tcp((socket) => socket.resume())
    lab.use('a.test:80', silent)
    const error = await lab.passUntil(lab.fails('http://a.test/', 'timeout', { hedge: true, timeoutMs: 5_000 }))
    assert.deepEqual(
      error.attempts.map(({ worker, outcome }) => `${worker} ${outcome}`),
      ['w1 timeout', 'w2 timeout'],
    )
    await silent.allClosed()
    assert.equal(lab.workers.leases, 0)
    assert.equal(lab.clock.pending, 0)
  })
})

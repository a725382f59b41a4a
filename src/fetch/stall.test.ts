import assert from 'node:assert/strict'
import type { Socket } from 'node:net'
import { describe, it } from 'node:test'
import fc from 'fast-check'
import { createFetchLab, turns } from './test-fetch-lab.ts'
import { own, TestServer } from './test-lab.ts'

describe('stalls', { timeout: 30_000 }, () => {
  it('tells the lease what a try waits for, once for each stall, and fails nothing by it', async () => {
    await using lab = await createFetchLab()
    const reached = Promise.withResolvers<Socket>()
    lab.use('a.test:80', await TestServer.tcp((socket) => socket.on('data', () => reached.resolve(socket))))
    const fetching = lab.fetch('http://a.test/')
    const socket = await reached.promise
    await lab.clock.advance(10_000)
    assert.deepEqual(lab.workers.stalls, [['w1', 'first-byte']])

    socket.write('HTTP/1.1 200 OK\r\ncontent-length: 2\r\n\r\nx')
    await turns()
    await lab.clock.advance(10_000)
    socket.write('y')
    assert.equal(Buffer.from((await fetching).body).toString(), 'xy')
    assert.deepEqual(lab.workers.stalls, [
      ['w1', 'first-byte'],
      ['w1', 'body'],
    ])
    assert.deepEqual(
      lab.workers.reports.map(([, outcome]) => outcome),
      ['ok'],
    )

    lab.workers.faults.set('w1', 'hang')
    const failing = lab.fails('http://b.test/', 'tor_timeout', { workerId: 'w1', timeoutMs: 5_000 })
    await lab.clock.advance(5_000)
    await failing
    assert.deepEqual(lab.workers.stalls.at(-1), ['w1', 'connect'])
  })

  it('moves stalled tries on when their worker is not trusted, in every phase, those that stall later as well', async () => {
    await using lab = await createFetchLab()
    const arrived: string[] = []
    const silent = await TestServer.tcp((socket) =>
      socket.on('data', (bytes) => {
        arrived.push(bytes.toString())
        if (bytes.includes('/body')) socket.write('HTTP/1.1 200 OK\r\ncontent-length: 9\r\n\r\nbegun')
      }),
    )
    lab.use('silent.test:80', silent)
    for (const address of ['a.test:80', 'b.test:80', 'c.test:80'])
      await lab.serve(address, (_, response) => response.end('ok'))

    lab.workers.faults.set('w1', 'hang')
    const connecting = lab.fetch('http://a.test/', { method: 'POST' })
    await turns(1)
    lab.workers.faults.set('w1', silent.port)
    lab.workers.rewind()
    const waiting = lab.fetch('http://b.test/')
    lab.workers.rewind()
    const reading = lab.fetch('http://c.test/body')
    while (arrived.length < 2) await turns(1)
    await turns()
    await lab.clock.advance(1_000)
    lab.workers.rewind()
    const later = lab.fetch('http://a.test/later')
    while (arrived.length < 3) await turns(1)

    await lab.clock.advance(1_000)
    lab.fetcher.abandonStalled('w1', 'it does not answer')
    for (const answer of await Promise.all([connecting, waiting, reading])) {
      assert.equal(Buffer.from(answer.body).toString(), 'ok')
      assert.equal(answer.attempts[0]?.outcome, 'worker_unreachable')
      assert.equal(answer.attempts.length, 2)
    }
    await lab.clock.advance(1_000)
    assert.equal((await later).attempts[0]?.ms, 2_000)
    assert.equal(lab.workers.leases, 0)
  })

  it('never sends again what may have arrived and is not idempotent: it waits, until the worker is lost', async () => {
    await using lab = await createFetchLab()
    const sockets: Socket[] = []
    const silent = await TestServer.tcp((socket) => socket.on('data', () => sockets.push(socket)))
    lab.use('a.test:80', silent)
    const posting = lab.fetch('http://a.test/', { method: 'POST' })
    while (sockets.length < 1) await turns(1)
    await lab.clock.advance(2_000)
    lab.fetcher.abandonStalled('w1', 'it does not answer')
    await turns()
    sockets[0]?.write('HTTP/1.1 200 OK\r\ncontent-length: 0\r\n\r\n')
    assert.equal((await posting).status, 200)

    const failing = lab.fails('http://a.test/', 'worker_unreachable', { method: 'POST', workerId: 'w1' })
    while (sockets.length < 2) await turns(1)
    await lab.clock.advance(2_000)
    lab.fetcher.abandonWorker('w1', 'Tor has exited')
    assert.match((await failing).message, /Tor has exited/)
    assert.equal(sockets.length, 2)
  })

  it('stays on a stalled worker when there is no other', async () => {
    await using lab = await createFetchLab()
    const sockets: Socket[] = []
    lab.use('a.test:80', await TestServer.tcp((socket) => socket.on('data', () => sockets.push(socket))))
    lab.workers.down.add('w2').add('w3')
    const fetching = lab.fetch('http://a.test/')
    while (sockets.length < 1) await turns(1)
    await lab.clock.advance(2_000)
    lab.fetcher.abandonStalled('w1', 'it does not answer')
    await turns()
    sockets[0]?.write('HTTP/1.1 200 OK\r\ncontent-length: 0\r\n\r\n')
    assert.equal((await fetching).attempts.length, 1)
  })

  it('fetches a half-read answer again elsewhere when its worker dies, since nobody has seen any of it', async () => {
    await using lab = await createFetchLab()
    const begun = Promise.withResolvers<void>()
    const halfway = await TestServer.tcp((socket) =>
      socket.on('data', () => {
        socket.write('HTTP/1.1 200 OK\r\ncontent-length: 9\r\n\r\nhalf')
        begun.resolve()
      }),
    )
    lab.use('half.test:80', halfway)
    await lab.serve('a.test:80', (_, response) => response.end('whole'))
    lab.workers.faults.set('w1', halfway.port)
    const fetching = lab.fetch('http://a.test/')
    await begun.promise
    await turns()
    lab.fetcher.abandonWorker('w1', 'Tor has exited')
    const answer = await fetching
    assert.equal(Buffer.from(answer.body).toString(), 'whole')
    assert.equal(answer.attempts[0]?.outcome, 'worker_unreachable')
  })

  it('lets requests end on connections that are dropped, and keeps those for no other', async () => {
    await using lab = await createFetchLab()
    const sockets: Socket[] = []
    const server = await TestServer.tcp((socket) => socket.on('data', () => sockets.push(socket)))
    lab.use('a.test:80', server)
    const fetching = lab.fetch('http://a.test/', { stickyKey: 'me' })
    while (sockets.length < 1) await turns(1)
    lab.fetcher.dropConnections('w1')
    lab.fetcher.rotateSession(own('me'))
    await turns()
    sockets[0]?.write('HTTP/1.1 200 OK\r\ncontent-length: 2\r\n\r\nok')
    assert.equal((await fetching).status, 200)
    assert.deepEqual(lab.fetcher.connections, { busy: 0, idle: 0 })
    await server.allClosed()
  })

  it('keeps its promises however faults, stalls and losses follow one another', async () => {
    type Fate = 'ok' | 'reset' | 'half' | 'silent' | 'refuse' | 'unreachable' | 'hang' | 'tor_failure'
    const fate = fc.constantFrom<Fate>('ok', 'reset', 'half', 'silent', 'refuse', 'unreachable', 'hang', 'tor_failure')
    const step = fc.oneof(
      fc.record({ do: fc.constant('pass' as const), ms: fc.constantFrom(100, 1_000, 2_000) }),
      fc.record({ do: fc.constant('settle' as const) }),
      fc.record({
        do: fc.constantFrom('stalled' as const, 'lost' as const),
        worker: fc.constantFrom('w1', 'w2', 'w3'),
      }),
    )
    const fates = fc.array(fate, { minLength: 3, maxLength: 3 })
    const method = fc.constantFrom('POST', 'PATCH', 'GET', 'PUT', 'HEAD')
    await fc.assert(
      fc.asyncProperty(
        fates,
        method,
        fc.boolean(),
        fc.array(step, { maxLength: 12 }),
        async (script, method, hedge, steps) => {
          await using lab = await createFetchLab(undefined, { verdictMs: 150 })
          let arrived = 0
          for (const [index, fate] of script.entries()) {
            const worker = `w${index + 1}`
            if (fate === 'refuse') lab.workers.faults.set(worker, 'connection_refused')
            else if (fate === 'unreachable') lab.workers.faults.set(worker, 'worker_unreachable')
            else if (fate === 'hang' || fate === 'tor_failure') lab.workers.faults.set(worker, fate)
            else {
              const server = await TestServer.tcp((socket) =>
                socket.once('data', () => {
                  arrived++
                  if (fate === 'ok') socket.end('HTTP/1.1 200 OK\r\ncontent-length: 0\r\n\r\n')
                  else if (fate === 'half') socket.write('HTTP/1.1 200 OK\r\ncontent-length: 9\r\n\r\nx')
                  else if (fate === 'reset') socket.resetAndDestroy()
                }),
              )
              lab.use(`${worker}.test:80`, server)
              lab.workers.faults.set(worker, server.port)
            }
          }
          const fetching = lab.fetch('http://a.test/', { method, hedge, timeoutMs: 20_000 })
          fetching.catch(() => {})
          for (const step of steps) {
            if (step.do === 'pass') await lab.clock.advance(step.ms)
            else if (step.do === 'settle') await turns()
            else if (step.do === 'stalled') lab.fetcher.abandonStalled(step.worker, 'it does not answer')
            else lab.fetcher.abandonWorker(step.worker, 'it is dead')
          }
          const [settled] = await Promise.allSettled([lab.passUntil(fetching)])
          const isRepeatable = method !== 'POST' && method !== 'PATCH'
          assert.ok(arrived <= (isRepeatable ? 3 : 1), `${arrived} requests arrived`)
          const { attempts } = settled.status === 'fulfilled' ? settled.value : settled.reason
          assert.ok(attempts.length >= 1 && attempts.length <= 3, `${attempts.length} attempts`)
          const won = attempts.filter(({ outcome }: { outcome: string }) => outcome === 'ok')
          assert.equal(won.length, settled.status === 'fulfilled' ? 1 : 0)
          assert.equal(lab.workers.leases, 0)
          assert.equal(lab.workers.reports.length, attempts.length)
          lab.fetcher[Symbol.dispose]()
          assert.equal(lab.clock.pending, 0)
        },
      ),
      { numRuns: 80 },
    )
  })
})

import assert from 'node:assert/strict'
import { once } from 'node:events'
import { connect, createServer, type Socket } from 'node:net'
import { describe, it } from 'node:test'
import { FakeClock } from '../lib/fake-clock.ts'
import type { TunnelOutcome } from './backend.ts'
import { Client, turn } from './test-lab.ts'
import { splice } from './tunnel.ts'

const LIMITS = { idleMs: 300_000, halfClosedIdleMs: 60_000 }

describe('splice()', { timeout: 20_000 }, () => {
  it('carries bytes both ways, and the target’s end after the last of them', async () => {
    await using tunnel = await joined()
    tunnel.client.send('ping')
    await tunnel.target.reads('ping')
    const body = 'x'.repeat(3_000_000)
    tunnel.target.send(body)
    tunnel.target.socket.end()
    assert.equal(await tunnel.client.readsAll(), body)
    assert.equal(await tunnel.client.closed, 'end')
    assert.equal(await tunnel.outcome, 'ok')
    tunnel.client.socket.end()
  })

  it('keeps the client’s end to itself, and carries the answer on', async () => {
    await using tunnel = await joined()
    tunnel.client.send('request')
    tunnel.client.socket.end()
    await tunnel.target.reads('request')
    await tunnel.clock.advance(30_000)
    assert.equal(tunnel.target.socket.readableEnded, false)
    tunnel.target.send('answer')
    await tunnel.client.reads('answer')
    tunnel.target.socket.end()
    assert.equal(await tunnel.outcome, 'ok')
    assert.equal(await tunnel.client.closed, 'end')
  })

  it('gives up a tunnel whose client has ended when nothing comes for a minute', async () => {
    await using tunnel = await joined()
    tunnel.client.socket.end('request')
    await tunnel.target.reads('request')
    await tunnel.sees(() => tunnel.inner.client.readableEnded)
    await tunnel.clock.advance(59_999)
    assert.equal(tunnel.settled, undefined)
    await tunnel.clock.advance(7_501)
    assert.equal(await tunnel.outcome, 'timeout')
  })

  it('takes the end of a client that has sent nothing for its leaving', async () => {
    await using tunnel = await joined()
    tunnel.target.send('hello')
    await tunnel.client.reads('hello')
    tunnel.client.socket.end()
    assert.equal(await tunnel.outcome, 'client_gone')
    await tunnel.target.closed
  })

  it('takes the end of a client that speaks TLS for its leaving', async () => {
    for (const ahead of ['', '\x16\x03\x01\x00\x01x']) {
      await using tunnel = await joined(undefined, ahead)
      const records = `${ahead === '' ? '\x16\x03\x01\x00\x01x' : ''}${'\x17\x03\x03\x00\x01y'.repeat(1_000)}`
      tunnel.client.send(records)
      tunnel.client.socket.end()
      assert.equal(await tunnel.outcome, 'client_gone')
      assert.equal(await tunnel.target.readsAll(), records)
    }
  })

  it('ends an idle tunnel after five minutes, and none in which anything flows', async () => {
    await using tunnel = await joined()
    for (const side of [tunnel.client, tunnel.target, tunnel.client]) {
      const other = side === tunnel.client ? tunnel.target : tunnel.client
      await tunnel.clock.advance(299_000)
      side.send('.')
      await other.reads(side === tunnel.client ? /\.+$/ : '.')
      await tunnel.clock.advance(1_000)
    }
    assert.equal(tunnel.settled, undefined)
    await tunnel.clock.advance(262_000)
    assert.equal(tunnel.settled, undefined)
    await tunnel.clock.advance(75_500)
    assert.equal(await tunnel.outcome, 'timeout')
    await tunnel.client.closed
    await tunnel.target.closed
  })

  it('destroys the target’s side when the client breaks off', async () => {
    await using tunnel = await joined()
    tunnel.client.socket.resetAndDestroy()
    assert.equal(await tunnel.outcome, 'client_gone')
    await tunnel.target.closed
  })

  it('finds out about a client that has closed as soon as there is something for it', async () => {
    await using tunnel = await joined()
    tunnel.client.send('request')
    await tunnel.target.reads('request')
    tunnel.client.socket.destroy()
    await tunnel.sees(() => tunnel.inner.client.readableEnded)
    for (let count = 0; tunnel.settled === undefined && count < 1_000; count++) {
      tunnel.target.send('more')
      await turn()
    }
    assert.equal(await tunnel.outcome, 'client_gone')
  })

  it('resets the client when what looks like the target’s end turns out to be the worker’s', async () => {
    const verdict = Promise.withResolvers<boolean>()
    await using tunnel = await joined(undefined, '', () => verdict.promise)
    tunnel.target.send('only this')
    tunnel.target.socket.end()
    await tunnel.client.reads('only this')
    await tunnel.sees(() => tunnel.inner.upstream.closed)
    assert.deepEqual([tunnel.settled, tunnel.client.socket.readableEnded], [undefined, false])
    verdict.resolve(true)
    assert.equal(await tunnel.outcome, 'connection_lost')
    assert.equal(await tunnel.client.closed, 'reset')
  })

  it('asks no further when the client leaves behind the target’s end', async () => {
    await using tunnel = await joined(undefined, '', () => new Promise(() => {}))
    tunnel.target.send('answer')
    tunnel.target.socket.end()
    await tunnel.client.reads('answer')
    await tunnel.sees(() => tunnel.inner.upstream.closed)
    tunnel.client.socket.end()
    assert.equal(await tunnel.outcome, 'ok')
  })

  it('resets the client when the target’s side breaks, so that a part is not taken for the whole', async () => {
    for (const breaks of [(socket: Socket) => socket.resetAndDestroy(), undefined]) {
      await using tunnel = await joined()
      tunnel.target.send('half an ans')
      await tunnel.client.reads('half')
      if (breaks) breaks(tunnel.target.socket)
      else tunnel.inner.upstream.destroy() // the service gave the worker up
      assert.equal(await tunnel.outcome, 'connection_lost')
      assert.equal(await tunnel.client.closed, 'reset')
    }
  })

  it('reads no faster than the other side takes, either way', async () => {
    await using tunnel = await joined()
    for (const [from, to] of [
      [tunnel.client, tunnel.target],
      [tunnel.target, tunnel.client],
    ] as const) {
      to.socket.pause()
      const chunk = Buffer.alloc(1024 * 1024)
      let sent = 0
      while (sent < 64 * 1024 * 1024) {
        sent += chunk.length
        if (!from.socket.write(chunk)) {
          const drained = await Promise.race([
            once(from.socket, 'drain').then(() => true),
            turns(200).then(() => false),
          ])
          if (!drained) break
        }
      }
      const { client, upstream } = tunnel.inner
      assert.ok(sent < 64 * 1024 * 1024, 'it took everything')
      for (const socket of [client, upstream]) assert.ok(socket.readableLength + socket.writableLength < 512 * 1024)
      to.socket.resume()
      while (to.received.length < sent) await turn()
      to.received = Buffer.alloc(0)
    }
  })

  it('settles at once when one side is gone already', async () => {
    for (const [side, outcome] of [
      ['client', 'client_gone'],
      ['upstream', 'connection_lost'],
    ] as const) {
      await using tunnel = await joined((inner) => inner[side].destroy())
      assert.equal(await tunnel.outcome, outcome)
    }
  })

  it('waits for no client forever that does not read the end of what came', async () => {
    await using tunnel = await joined()
    tunnel.client.socket.pause()
    tunnel.target.send('x'.repeat(200_000))
    tunnel.target.socket.end()
    await tunnel.sees(() => tunnel.settled === 'ok' || tunnel.inner.upstream.readableLength > 0)
    await tunnel.clock.advance(700_000)
    await tunnel.sees(() => tunnel.inner.client.destroyed)
  })

  it('leaves no timer and no listener of its own behind', async () => {
    const ends: ((tunnel: Awaited<ReturnType<typeof joined>>) => void)[] = [
      ({ target }) => target.socket.end(),
      ({ target }) => target.socket.resetAndDestroy(),
      ({ client }) => client.socket.resetAndDestroy(),
    ]
    for (const end of ends) {
      await using tunnel = await joined()
      const { client, upstream } = tunnel.inner
      end(tunnel)
      await tunnel.outcome
      tunnel.client.socket.destroy()
      await tunnel.sees(() => client.destroyed && upstream.destroyed)
      await turns(3)
      assert.equal(tunnel.clock.pending, 0)
      for (const socket of [client, upstream]) {
        assert.deepEqual([socket.listenerCount('data'), socket.listenerCount('drain')], [0, 0])
        assert.ok(socket.listenerCount('close') <= 1 && socket.listenerCount('end') <= 2)
      }
    }
  })
})

/** Two connections with a splice between their inner ends. */
async function joined(
  before?: (inner: { client: Socket; upstream: Socket }) => void,
  ahead = '',
  lost = async () => false,
) {
  const server = createServer({ allowHalfOpen: true, noDelay: true }).listen(0, '127.0.0.1')
  await once(server, 'listening')
  const address = server.address()
  assert.ok(address !== null && typeof address === 'object')
  const pair = async (allowHalfOpen: boolean) => {
    const outer = connect({ port: address.port, host: '127.0.0.1', allowHalfOpen, noDelay: true })
    const [inner] = (await once(server, 'connection')) as [Socket]
    return { outer, inner }
  }
  const front = await pair(true)
  const back = await pair(false) // the dialler's end, as a worker gives it
  const inner = { client: front.inner, upstream: back.outer }
  for (const socket of Object.values(inner)) socket.on('error', () => {})
  before?.(inner)
  const clock = new FakeClock()
  const outcome = splice(inner.client, { socket: inner.upstream, lost }, Buffer.from(ahead, 'latin1'), LIMITS, clock)
  const state: { settled: TunnelOutcome | undefined } = { settled: undefined }
  void outcome.then((how) => {
    state.settled = how
  })
  return {
    clock,
    outcome,
    inner,
    client: new Client(front.outer),
    target: new Client(back.inner),
    get settled() {
      return state.settled
    },
    async sees(condition: () => boolean) {
      while (!condition()) await turn()
    },
    async [Symbol.asyncDispose]() {
      for (const socket of [front.outer, front.inner, back.outer, back.inner]) socket.destroy()
      await new Promise((resolve) => server.close(resolve))
    },
  }
}

async function turns(count: number): Promise<void> {
  for (let done = 0; done < count; done++) await turn()
}

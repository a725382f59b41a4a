import assert from 'node:assert/strict'
import { describe, it } from 'node:test'
import { CbtorError } from '../domain/errors.ts'
import type { FetchAnswer, FetchRequest } from '../domain/exchange.ts'
import { FakeClock } from '../lib/fake-clock.ts'
import { fakeAnswer } from './fake-backend.ts'
import { RepeatedFetches } from './repeated-fetches.ts'
import { createTestApp } from './test-app.ts'

const never = new AbortController().signal
const NAMED = { owner: 'alice', key: 'k', digest: 'd', method: 'POST' }

function createFetches() {
  const clock = new FakeClock()
  const fetches = new RepeatedFetches(clock)
  const begun: (PromiseWithResolvers<FetchAnswer> & { readonly signal: AbortSignal })[] = []
  const fetch = (signal: AbortSignal) => {
    const one = { ...Promise.withResolvers<FetchAnswer>(), signal }
    begun.push(one)
    signal.addEventListener('abort', () => one.reject(signal.reason))
    return one.promise
  }
  const listeners = new Set<() => void>()
  const onKeyGone = (listener: () => void) => {
    listeners.add(listener)
    return { [Symbol.dispose]: () => void listeners.delete(listener) }
  }
  const ask = (change: Partial<typeof NAMED> = {}, signal = never) => {
    const asked = fetches.ask({ ...NAMED, ...change }, fetch, signal, onKeyGone)
    asked.catch(() => {})
    return asked
  }
  const revoke = () => {
    for (const listener of listeners) listener()
  }
  return { clock, begun, ask, listeners, revoke }
}

const answer = (body = 'x') => fakeAnswer({ url: 'http://a.test/' } as FetchRequest, { body: Buffer.from(body) })

describe('RepeatedFetches', () => {
  it('fetches once for whoever asks at the same time, or within five minutes', async () => {
    const { clock, begun, ask } = createFetches()
    const both = [ask(), ask()]
    begun[0]?.resolve(answer())
    assert.deepEqual(
      (await Promise.all(both)).map(({ isRepeated }) => isRepeated),
      [false, true],
    )
    await clock.advance(5 * 60_000 - 1)
    assert.equal((await ask()).isRepeated, true)
    await clock.advance(1)
    void ask()
    assert.equal(begun.length, 2)
  })

  it('keeps callers, keys and requests apart', async () => {
    const { begun, ask } = createFetches()
    for (const change of [{}, { owner: 'bob' }, { key: 'l' }, { owner: 'alice","k', key: '' }]) void ask(change)
    assert.equal(begun.length, 4)
    await assert.rejects(ask({ digest: 'e' }), { code: 'idempotency_key_reused' })
  })

  it('goes on when its client has gone, and answers when that asks again', async () => {
    const { begun, ask } = createFetches()
    const client = new AbortController()
    const first = ask({}, client.signal)
    client.abort(new CbtorError('client_gone', 'It has gone'))
    await assert.rejects(first, { code: 'client_gone' })
    assert.equal(begun[0]?.signal.aborted, false)
    const again = ask()
    begun[0]?.resolve(answer('the answer'))
    assert.equal(Buffer.from((await again).answer.body).toString(), 'the answer')
    assert.equal(begun.length, 1)
  })

  it('ends with the key of its caller, be its client there or not', async () => {
    for (const isThere of [true, false]) {
      const { begun, ask, revoke } = createFetches()
      const client = new AbortController()
      const first = ask({}, client.signal)
      if (!isThere) client.abort(new CbtorError('client_gone', 'It has gone'))
      revoke()
      await assert.rejects(first, { code: isThere ? 'auth_invalid' : 'client_gone' })
      assert.ok(begun[0]?.signal.aborted)
    }
  })

  it('listens to the key no longer than it fetches', async () => {
    const { begun, ask, listeners } = createFetches()
    const first = ask()
    assert.equal(listeners.size, 1)
    begun[0]?.resolve(answer())
    await first
    await ask()
    assert.equal(listeners.size, 0)
  })

  it('fetches anew after a failure only what did nothing or may be done twice', async () => {
    const failed = async (code: ConstructorParameters<typeof CbtorError>[0], method: string) => {
      const { begun, ask } = createFetches()
      const first = ask({ method })
      begun[0]?.reject(new CbtorError(code, 'It failed'))
      await assert.rejects(first, { code })
      const again = ask({ method })
      if (begun.length === 1) await assert.rejects(again, { code })
      return begun.length === 2
    }
    assert.equal(await failed('connection_lost', 'POST'), false)
    assert.equal(await failed('connection_lost', 'PUT'), true)
    assert.equal(await failed('onion_not_found', 'POST'), true)
    assert.equal(await failed('rate_limited', 'POST'), true)
  })

  it('does not fetch again what was too large to be kept', async () => {
    const { begun, ask } = createFetches()
    const first = ask()
    begun[0]?.resolve(answer('x'.repeat(1024 * 1024 + 1)))
    await first
    await assert.rejects(ask(), { code: 'conflict' })
    assert.equal(begun.length, 1)
  })

  it('counts headers and redirects, too', async () => {
    const { begun, ask } = createFetches()
    const redirect = { status: 302, from: 'http://a.test/', to: `http://a.test/${'x'.repeat(1_000_000)}` }
    const heavy = [
      { ...answer(), headers: [['x-a', 'x'.repeat(1024 * 1024)]] as const },
      { ...answer(), redirects: [redirect, redirect] },
    ]
    for (const [n, each] of heavy.entries()) {
      void ask({ key: `k${n}` })
      begun[n]?.resolve(each)
      await new Promise((resolve) => setImmediate(resolve))
      await assert.rejects(ask({ key: `k${n}` }), { code: 'conflict' })
    }
  })

  it('keeps no answers of one caller that would leave no room for those of others', async () => {
    const { clock, begun, ask } = createFetches()
    const MIB = 1024 * 1024 - 1_024 // with its headers
    const fetched = async (owner: string, key: string) => {
      const first = ask({ owner, key })
      begun.at(-1)?.resolve(answer('x'.repeat(MIB)))
      await first
      await clock.advance(0)
    }
    for (let n = 0; n < 17; n++) await fetched('alice', `${n}`)
    await ask({ owner: 'alice', key: '15' })
    await assert.rejects(ask({ owner: 'alice', key: '16' }), { code: 'conflict' })
    await fetched('bob', 'k')
    assert.equal((await ask({ owner: 'bob', key: 'k' })).isRepeated, true)
    await clock.advance(5 * 60_000)
    await fetched('alice', 'k')
    assert.equal((await ask({ owner: 'alice', key: 'k' })).isRepeated, true)
  })

  it('knows no more keys of one caller than it may', async () => {
    const { clock, begun, ask } = createFetches()
    for (let n = 0; n < 100; n++) void ask({ key: `${n}` })
    await assert.rejects(ask({ key: 'more' }), { code: 'rate_limited', retryAfterMs: 60_000 })
    void ask({ owner: 'bob' })
    assert.equal(begun.length, 101)
    for (const each of begun) each.resolve(answer())
    await clock.advance(5 * 60_000)
    await clock.advance(0)
    void ask({ key: 'more' })
    assert.equal(begun.length, 102)
  })
})

it('POST /api/v1/fetch with an Idempotency-Key is fetched once', async () => {
  await using test = await createTestApp()
  const fetch = (payload: object, key = 'k') =>
    test.app.inject({ method: 'POST', url: '/api/v1/fetch', payload, headers: { 'idempotency-key': key } })
  const order = { url: 'http://example.com/', method: 'POST', body: 'x' }
  const first = await fetch(order)
  const again = await fetch({ ...order, timeout_ms: 60_000 })
  assert.deepEqual([first.statusCode, again.statusCode, again.body], [200, 200, first.body])
  assert.deepEqual([first.headers['idempotency-replayed'], again.headers['idempotency-replayed']], [undefined, 'true'])
  assert.equal(test.backend.requests.length, 1)
  assert.equal((await fetch({ ...order, body: 'y' })).json().code, 'idempotency_key_reused')
  assert.equal((await fetch(order, 'a b')).json().errors[0].path, 'idempotency-key')
})

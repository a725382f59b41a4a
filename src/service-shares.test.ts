/** What replicas share of sessions, limits and load, by a real store. */
import assert from 'node:assert/strict'
import { it } from 'node:test'
import { setTimeout as waitMs } from 'node:timers/promises'
import { startValkey } from '../test/valkey.ts'
import { shareLoad } from './cluster/load-share.ts'
import { openStore } from './cluster/open-store.ts'
import { SharedRegisters } from './cluster/shared-registers.ts'
import { SharedStore } from './cluster/shared-store.ts'
import { ValkeyPresence } from './cluster/valkey-presence.ts'
import { ValkeyRegisters } from './cluster/valkey-registers.ts'
import { ANYBODY } from './domain/caller.ts'
import { CbtorError } from './domain/errors.ts'
import { Identities } from './domain/identity.ts'
import { Sessions } from './fetch/sessions.ts'
import { systemClock as clock } from './lib/clock.ts'
import { createLogger } from './lib/log.ts'
import { systemRandom as random } from './lib/random.ts'
import { Seal } from './lib/seal.ts'
import { Admission, NO_LIMITS } from './limits/admission.ts'
import { Pool } from './pool/pool.ts'
import { StoredSessions } from './service-sessions.ts'

const NAMES = ['gw1', 'gw2', 'gw3']
const secret = Buffer.alloc(32, 9)
const never = new AbortController().signal
const onError = (error: unknown) => assert.fail(String(error))
const sessionOf = (key: string) => ({ owner: 'k', key })

it('sessions are the same at three replicas, also after the store was away', { timeout: 60_000 }, async () => {
  await using place = await open()
  const { a, b, c, valkey } = place
  a.sessions.open(sessionOf('x')).place('w1')
  await until(() => b.sessions.find(sessionOf('x'))?.worker === 'w1')
  for (let n = 1; n <= 5; n++) {
    const rotated = [b, c, a][n % 3]?.sessions.rotate(sessionOf('x')).generation
    assert.equal(rotated, n)
    await until(() => place.all.every(({ sessions }) => sessions.generationOf(sessionOf('x')) === n))
  }

  for (const key of ['moves', 'ends', 'renews']) a.sessions.open(sessionOf(key)).place('w1')
  await until(() => place.all.every(({ sessions }) => sessions.find(sessionOf('renews')) !== undefined))
  await valkey.stop()
  await until(() => place.all.every(({ link }) => !link.isUp))
  assert.equal(c.sessions.open(sessionOf('x')).generation, 5, 'it goes by what it knows')
  b.sessions.open(sessionOf('moves')).answered('w2', undefined, new Set(['w1']))
  a.sessions.end(sessionOf('ends'))
  a.sessions.rotate(sessionOf('renews'))
  b.sessions.rotate(sessionOf('renews'))
  b.sessions.rotate(sessionOf('renews'))
  c.sessions.open(sessionOf('new')).place('w3')
  await valkey.restart()
  await until(() =>
    place.all.every(
      ({ sessions }) =>
        sessions.find(sessionOf('moves'))?.worker === 'w2' &&
        sessions.find(sessionOf('ends')) === undefined &&
        sessions.generationOf(sessionOf('ends')) === 1 &&
        sessions.generationOf(sessionOf('renews')) === 2 &&
        sessions.find(sessionOf('new'))?.worker === 'w3',
    ),
  )
  assert.deepEqual(
    c.sessions
      .list({ owner: 'k' })
      .map(({ key }) => key)
      .sort(),
    ['moves', 'new', 'renews', 'x'],
  )
  const all = await valkey.cli('HGETALL', '{test}:registers:writes')
  assert.ok(all.includes('session/'))
  assert.ok(!all.includes('renews'))
})

it('limits and load are known of each other by the next beat', { timeout: 60_000 }, async () => {
  await using place = await open()
  const { a, b, c } = place
  await until(() => place.all.every(({ presence }) => presence.members().length === 3))
  const slow = { ...ANYBODY, id: 'slow', limits: { rate: 0.001, burst: 6 } }
  for (let n = 0; n < 3; n++) {
    a.admission.admit(slow)[Symbol.dispose]()
    b.admission.admit(slow)[Symbol.dispose]()
  }
  await until(() => !c.admits(slow))

  const few = { ...ANYBODY, id: 'few', limits: { concurrent: 2 } }
  const held = [a.admission.admit(few), b.admission.admit(few)]
  await until(() => !c.admits(few))
  for (const one of held) one[Symbol.dispose]()
  await until(() => c.admits(few))

  using _lease = a.pool.acquire({ key: 'k', workerId: 'w1' })
  using _other = b.pool.acquire({ key: 'k', workerId: 'w2' })
  await until(() => Array.from({ length: 10 }, () => take(c.pool)).every((worker) => worker === 'w3'))
  await a.presence[Symbol.asyncDispose]()
  await until(() => new Set(Array.from({ length: 10 }, () => take(c.pool))).size === 2)
})

function take(pool: Pool<{ readonly name: { readonly id: string; readonly n: number } }>): string {
  using lease = pool.acquire({ key: 'k', mode: 'least_connections' })
  return lease.member.name.id
}

async function until(isSo: () => boolean): Promise<void> {
  for (let n = 0; n < 2_000 && !isSo(); n++) await waitMs(10)
  assert.ok(isSo())
}

async function open() {
  const stack = new AsyncDisposableStack()
  const valkey = stack.use(await startValkey())
  const all = await Promise.all(
    NAMES.map(async (replica) => {
      const link = stack.use(
        await openStore(
          {
            ...{ url: valkey.url, password: undefined, ca: undefined, prefix: 'test', secret, replica },
            ...{ version: '1.0.0', waitMs: 0, clock, random, logger: createLogger('silent') },
          },
          never,
        ),
      )
      const hub = new ValkeyRegisters({ link, random, seal: new Seal(secret, 'registers', random) })
      const registers = stack.use(await SharedRegisters.open({ hub, clock, run: replica, onError }, never))
      const store = stack.use(new SharedStore({ registers, clock, run: replica, secret, onError }))
      const identities = new Identities(store.poolSecret(), () => random.bytes(32))
      const share = stack.use(
        new StoredSessions({ store, isShared: true, identities, secret, clock, random, keep: (write) => write() }),
      )
      const pool = new Pool(
        ['w1', 'w2', 'w3'].map((id, index) => ({ name: { id, n: index + 1 } })),
        { clock, random },
      )
      for (const { name } of pool.entries()) pool.setHealth(name.id, 'healthy')
      const admission = stack.use(new Admission({ clock, defaults: NO_LIMITS }))
      const self = { replica, run: `${replica}-1`, version: '1.0.0', startedAt: clock.now() }
      const presence = stack.use(
        new ValkeyPresence({ link, clock, self, seal: new Seal(secret, 'presence', random), onError }),
      )
      stack.use(shareLoad({ presence, pool, limits: admission }))
      return {
        ...{ link, pool, admission, presence, sessions: stack.use(new Sessions({ clock, share })) },
        admits(key: typeof ANYBODY): boolean {
          try {
            admission.admit(key)[Symbol.dispose]()
            return true
          } catch (error) {
            if (error instanceof CbtorError) return false
            throw error
          }
        },
      }
    }),
  )
  const [a, b, c] = all
  assert.ok(a && b && c)
  return { valkey, all, a, b, c, [Symbol.asyncDispose]: () => stack.disposeAsync() }
}

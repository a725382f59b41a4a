import assert from 'node:assert/strict'
import { execFileSync } from 'node:child_process'
import { once } from 'node:events'
import { mkdtempSync, readFileSync, rmSync } from 'node:fs'
import { createServer } from 'node:net'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { describe, it } from 'node:test'
import { setTimeout as sleep } from 'node:timers/promises'
import { startValkey, type Valkey } from '../../test/valkey.ts'
import { systemClock } from '../lib/clock.ts'
import { createLogger } from '../lib/log.ts'
import { systemRandom } from '../lib/random.ts'
import { StoreError } from '../store/store-error.ts'
import { type OpenStoreOptions, openStore } from './open-store.ts'
import { type Script, type StoreLink, StoreUnavailable } from './store-link.ts'

const never = new AbortController().signal
const secret = Buffer.alloc(32, 7)
/** For a store or a link that hangs. */
const timeout = 60_000

function optionsFor(store: Pick<Valkey, 'url' | 'password'>, more: Partial<OpenStoreOptions> = {}): OpenStoreOptions {
  return {
    ...{ url: store.url, password: store.password, ca: undefined, prefix: 'test', secret, replica: 'gw1' },
    ...{ version: '1.2.3', waitMs: 0, clock: systemClock, random: systemRandom, logger: createLogger('silent') },
    ...more,
  }
}

const openFor = (store: Pick<Valkey, 'url' | 'password'>, more: Partial<OpenStoreOptions> = {}) =>
  openStore(optionsFor(store, more), never)

const becomes = (link: StoreLink, isUp: boolean) =>
  new Promise<void>((resolve) => {
    if (link.isUp === isUp) return resolve()
    const listening = link.onChange((now) => {
      if (now !== isUp) return
      listening[Symbol.dispose]()
      resolve()
    })
  })

const isStoreError = (kind: StoreError['kind'], message: RegExp) => (error: unknown) => {
  assert.ok(error instanceof StoreError, String(error))
  assert.match(error.message, message)
  assert.equal(error.kind, kind)
  return true
}

describe('the link to a store', { timeout }, () => {
  it('asks, runs scripts that the store does not know yet, and hears what is published', async () => {
    await using store = await startValkey()
    await using link = await openFor(store)
    assert.equal(link.key('a'), '{test}:a')
    assert.equal(await link.call('SET', link.key('a'), Buffer.from('ä')), 'OK')
    assert.equal(await link.call('GET', link.key('a')), 'ä')
    const script: Script = { name: 'both', keys: 1, lua: "return {redis.call('GET', KEYS[1]), ARGV[1], false, 3}" }
    for (let n = 0; n < 2; n++) assert.deepEqual(await link.run(script, [link.key('a')], ['x']), ['ä', 'x', null, 3])
    await store.cli('SCRIPT', 'FLUSH')
    assert.deepEqual(await link.run(script, [link.key('a')], [1]), ['ä', '1', null, 3])
    await assert.rejects(link.run(script, [], []), RangeError)
    await assert.rejects(
      link.call('NONSENSE', 'planted'),
      (error) => error instanceof Error && !(error instanceof StoreUnavailable),
    )

    const { promise, resolve } = Promise.withResolvers<string>()
    using _ = link.subscribe(link.key('news'), resolve)
    while ((await link.call('PUBLISH', link.key('news'), 'hello')) === 0) await sleep(5)
    assert.equal(await promise, 'hello')
  })

  it('keeps bytes as they are', async () => {
    await using store = await startValkey()
    await using link = await openFor(store)
    const bytes = systemRandom.bytes(1_000)
    await link.call('SET', link.key('b'), bytes)
    assert.equal(await link.call('STRLEN', link.key('b')), 1_000)
    const script: Script = { name: 'same', keys: 1, lua: "return redis.call('GET', KEYS[1]) == ARGV[1] and 1 or 0" }
    assert.equal(await link.run(script, [link.key('b')], [bytes]), 1)
  })

  it('refuses at once while the store is away, and subscribes anew when it is back', async () => {
    await using store = await startValkey({ tcp: true, password: 'a secret' })
    await using link = await openFor(store)
    const heard: string[] = []
    using _one = link.subscribe(link.key('one'), (message) => heard.push(message))
    const gone = link.subscribe(link.key('gone'), (message) => heard.push(message))
    await store.kill()
    await becomes(link, false)
    assert.ok(link.downSince !== undefined)
    await assert.rejects(link.call('GET', 'x'), StoreUnavailable)
    gone[Symbol.dispose]()
    using _two = link.subscribe(link.key('two'), (message) => heard.push(message))
    await store.restart()
    await becomes(link, true)
    assert.equal(link.downSince, undefined)
    for (const channel of ['one', 'gone', 'two']) await link.call('PUBLISH', link.key(channel), channel)
    while (heard.length < 2) await sleep(5)
    assert.deepEqual(heard, ['one', 'two'])
  })

  it('notices a store that stands still, and finds it again', async () => {
    await using store = await startValkey()
    await using link = await openFor(store)
    store.freeze()
    const began = performance.now()
    const asked = link.call('GET', 'x')
    await assert.rejects(asked, StoreUnavailable)
    await becomes(link, false)
    assert.ok(performance.now() - began < 10_000)
    await assert.rejects(link.call('GET', 'x'), StoreUnavailable)
    store.thaw()
    await becomes(link, true)
    assert.equal(await link.call('GET', 'x'), null)
  })

  it('does not take its own standing still for that of the store', async () => {
    await using store = await startValkey()
    await using link = await openFor(store)
    const asked = link.call('PING')
    const changes: boolean[] = []
    using _ = link.onChange((isUp) => changes.push(isUp))
    Atomics.wait(new Int32Array(new SharedArrayBuffer(4)), 0, 0, 2_500)
    assert.equal(await asked, 'PONG')
    await sleep(50)
    assert.deepEqual(changes, [])
  })

  it('is down while the store is the replica of another one, as it takes no writes', async () => {
    await using store = await startValkey()
    await using link = await openFor(store)
    await store.cli('REPLICAOF', '127.0.0.1', '1')
    await assert.rejects(link.call('SET', link.key('x'), 1), StoreUnavailable)
    await becomes(link, false)
    await store.cli('REPLICAOF', 'NO', 'ONE')
    await becomes(link, true)
    assert.equal(await link.call('SET', link.key('x'), 1), 'OK')
  })

  it('looks at the store again whenever it has a new connection: it may have become that of another pool', async () => {
    await using store = await startValkey()
    await using link = await openFor(store)
    const verifier = await store.cli('HGET', link.key('pool'), 'verifier')
    await store.cli('HSET', link.key('pool'), 'verifier', 'of another')
    await store.cli('CLIENT', 'KILL', 'TYPE', 'normal')
    await becomes(link, false)
    await sleep(200)
    await assert.rejects(link.call('PING'), /another pool uses the prefix test/)
    await store.cli('HSET', link.key('pool'), 'verifier', verifier)
    await becomes(link, true)
    assert.equal(await link.call('PING'), 'PONG')
  })

  it('ends at once, also while it looks for the store', async () => {
    await using store = await startValkey()
    const link = await openFor(store)
    store.freeze()
    await becomes(link, false)
    await sleep(100)
    const began = performance.now()
    await link[Symbol.asyncDispose]()
    assert.ok(performance.now() - began < 1_000)
    await assert.rejects(link.call('GET', 'x'), StoreUnavailable)
  })
})

describe('opening the store', { timeout }, () => {
  it('says where nothing answers, or waits for it when it is told to', async () => {
    await using store = await startValkey()
    await store.stop()
    await assert.rejects(
      openFor(store),
      isStoreError('unreachable', /^Cannot reach the shared store at \/.*ENOENT|ECONNREFUSED/),
    )
    await assert.rejects(openFor(store), { isWaitedFor: false })
    await assert.rejects(openFor(store, { waitMs: 50 }), isStoreError('unreachable', /Cannot reach/))
    await assert.rejects(openFor(store, { waitMs: 50 }), { isWaitedFor: true })
    const reasons: string[] = []
    const { promise: waits, resolve } = Promise.withResolvers<void>()
    const onWait = (reason: string) => {
      reasons.push(reason)
      resolve()
    }
    const opening = openFor(store, { waitMs: Number.POSITIVE_INFINITY, onWait })
    await waits
    await store.restart()
    await using link = await opening
    assert.equal(await link.call('PING'), 'PONG')
    assert.match(reasons.join(), /^Cannot reach/)
    const ended = new AbortController()
    await store.stop()
    const another = openStore(
      optionsFor(store, { waitMs: 1e9, onWait: () => ended.abort(new Error('enough')) }),
      ended.signal,
    )
    await assert.rejects(another, /enough/)
  })

  it('refuses what is no store, one that does not let us in, and one that takes no writes', async () => {
    const server = createServer((socket) =>
      socket.on('error', () => {}).end('HTTP/1.1 400 Bad Request\r\n\r\n'),
    ).listen(0, '127.0.0.1')
    await once(server, 'listening')
    const address = server.address()
    assert.ok(typeof address === 'object' && address !== null)
    const web = { url: `redis://127.0.0.1:${address.port}`, password: undefined }
    await assert.rejects(openFor(web), isStoreError('refused', /what answers there is neither Valkey nor Redis/))
    server.close()

    await using store = await startValkey({ tcp: true, password: 'right' })
    for (const password of [undefined, 'planted'])
      await assert.rejects(openFor({ ...store, url: store.url, password }), (error) => {
        assert.ok(!String(error).includes('planted'))
        return isStoreError('refused', /it does not let us in.*see cluster.password_file/)(error)
      })
    await assert.rejects(openFor({ url: `${store.url}/99`, password: 'right' }), isStoreError('refused', /DB index/))
    await store.cli('REPLICAOF', '127.0.0.1', '1')
    await assert.rejects(openFor(store), isStoreError('unreachable', /takes no writes: expected the primary/))
  })

  it('lets in who has the secret of the pool and goes with its version', async () => {
    await using store = await startValkey()
    await using first = await openFor(store)
    await using _second = await openFor(store, { replica: 'gw2', version: '1.3.0' })
    const other = { secret: Buffer.alloc(32, 8) }
    await assert.rejects(
      openFor(store, other),
      isStoreError('refused', /another pool uses the prefix test: give the same cluster.secret_file/),
    )
    await using _third = await openFor(store, { ...other, prefix: 'other' })
    assert.ok(!(await store.cli('HGETALL', first.key('pool'))).includes(secret.toString('base64')))

    await store.cli('HSET', first.key('pool'), 'minor', '7', 'version', '1.9.0')
    await using _older = await openFor(store)
    assert.equal(await store.cli('HGET', first.key('pool'), 'minor'), '7')
    await store.cli('HSET', first.key('pool'), 'major', '2', 'version', '3.0.0')
    await assert.rejects(
      openFor(store),
      isStoreError('refused', /written by CBTOR 3\.0\.0 \(store 2\.7\).*this one, 1\.2\.3 \(store 1\.0\)/),
    )
  })

  it('needs no more of a store than its own keys and channels', async () => {
    await using store = await startValkey({ tcp: true, password: 'right' })
    const rights = ['on', '>planted', '~{test}:*', '&{test}:*', '+@all', '-@dangerous', '+info']
    await store.cli('ACL', 'SETUSER', 'cbtor', ...rights)
    const url = store.url.replace('://', '://cbtor@')
    await using link = await openFor({ url, password: 'planted' })
    const { promise, resolve } = Promise.withResolvers<string>()
    using _ = link.subscribe(link.key('news'), resolve)
    while ((await link.call('PUBLISH', link.key('news'), 'hello')) === 0) await sleep(5)
    assert.equal(await promise, 'hello')
    await assert.rejects(link.call('GET', 'other'), /NOPERM/)
    assert.match(await store.cli('CLIENT', 'LIST'), /name=cbtor-gw1 .*user=cbtor/)
  })

  it('speaks TLS with a store whose certificate it can check', async () => {
    const directory = mkdtempSync(join(tmpdir(), 'cbtor-store-tls-'))
    try {
      const [cert, key] = [join(directory, 'cert.pem'), join(directory, 'key.pem')]
      const subject = ['-subj', '/CN=store', '-addext', 'subjectAltName=IP:127.0.0.1', '-days', '2']
      const made = [
        'req',
        '-x509',
        '-newkey',
        'ec',
        '-pkeyopt',
        'ec_paramgen_curve:prime256v1',
        '-nodes',
        '-keyout',
        key,
        '-out',
        cert,
      ]
      execFileSync('openssl', [...made, ...subject], { stdio: 'ignore' })
      await using store = await startValkey({ tls: { cert, key } })
      await using link = await openFor(store, { ca: readFileSync(cert, 'utf8') })
      assert.equal(await link.call('PING'), 'PONG')
      await assert.rejects(openFor(store), isStoreError('refused', /TLS failed.*see cluster.ca_file/))
    } finally {
      rmSync(directory, { recursive: true })
    }
  })
})

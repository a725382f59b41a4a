/** Keys on a real service: what they open, what they do not, and how they end. */
import assert from 'node:assert/strict'
import { once } from 'node:events'
import { readFileSync, rmSync, statSync } from 'node:fs'
import { connect, type Socket } from 'node:net'
import { join } from 'node:path'
import { after, before, describe, it } from 'node:test'
import { demoConfig } from '../../src/cli/commands/demo.ts'
import { type ApiClient, createApiClient } from '../../src/client/client.ts'
import type { ServiceConfig } from '../../src/config/read-config.ts'
import { createService, type Service } from '../../src/service.ts'
import { TorNetwork } from '../../src/testnet/network.ts'

const never = new AbortController().signal

let network: TorNetwork
let config: ServiceConfig
let service: Service
let admin: ApiClient

before(async () => {
  network = await TorNetwork.create()
  const state = join(network.directory, 'keys')
  const demo = demoConfig(network, '127.0.0.1:0', state)
  config = { ...demo, log: 'silent', workers: demo.workers.slice(0, 1) }
  service = await createService(config, {}, never)
  admin = clientOf(service.adminKey)
  await service.ready(AbortSignal.timeout(60_000))
})

after(async () => {
  await service?.[Symbol.asyncDispose]()
  await network?.[Symbol.asyncDispose]()
})

const clientOf = (key: string | undefined) => createApiClient({ baseUrl: service.url, key })
const url = () => `${network.urls.www}/ip`
const keyFile = () => join(config.state, 'admin.key')

describe('keys', { timeout: 600_000 }, () => {
  it('are there from the first start: one for the operator, in a file of its own', async () => {
    assert.match(service.adminKey ?? '', /^cbt_[0-9A-Za-z]{8}_[0-9A-Za-z]{43}$/)
    assert.equal(readFileSync(keyFile(), 'utf8'), `${service.adminKey}\n`)
    assert.equal(statSync(keyFile()).mode & 0o777, 0o600)
    assert.equal((await admin.fetch({ url: url() })).status, 200)
    await assertRefused(clientOf(undefined).health(), 'auth_required')
    const secret = service.adminKey?.split('_')[2] ?? ''
    const kept = ['', '-wal'].map((end) => readFileSync(join(config.state, `cbtor.db${end}`), 'latin1')).join('')
    assert.ok(!kept.includes(secret), 'the store knows no secret')
  })

  it('open what their scopes say, on the API and on both proxy ports', async () => {
    const fetcher = await admin.createKey({ name: 'fetcher', scopes: ['fetch'] })
    const proxied = await admin.createKey({ name: 'proxied', scopes: ['proxy'] })
    assert.equal((await clientOf(fetcher.key).fetch({ url: url() })).status, 200)
    await assertRefused(clientOf(fetcher.key).keys(), 'scope_missing')
    await assertRefused(clientOf(proxied.key).fetch({ url: url() }), 'scope_missing')
    for (const [key, http, socks] of [
      [proxied.key, 200, 'ok'],
      [service.adminKey ?? '', 200, 'ok'],
      [fetcher.key, 403, 'refused'],
      [`${proxied.key.slice(0, -1)}_`, 407, 'refused'],
      [`cbt_nobody00_${proxied.key.split('_')[2]}`, 407, 'refused'],
    ] as const) {
      const { status, socket } = await connectByHttp(key)
      socket.destroy()
      assert.equal(status, http, key)
      assert.equal(await connectBySocks(key), socks, key)
    }
  })

  it('end at once when they are revoked, with the tunnels and fetches that stand', async () => {
    const { key, id } = await admin.createKey({ name: 'to be revoked', scopes: ['fetch', 'proxy'] })
    const { status, socket } = await connectByHttp(key)
    assert.equal(status, 200)
    const cut = closed(socket).then(() => performance.now())
    const slow = clientOf(key).fetch({ url: `${network.urls.www}/delay/20000` })
    const refused = assertRefused(slow, 'auth_invalid').then(() => performance.now())
    await admin.mode() // by now the fetch is under way
    const revokedAt = performance.now()
    await admin.revokeKey(id)
    await assertRefused(clientOf(key).fetch({ url: url() }), 'auth_invalid')
    assert.equal((await connectByHttp(key)).status, 407)
    assert.equal(await connectBySocks(key), 'refused')
    for (const at of await Promise.all([cut, refused])) assert.ok(at - revokedAt < 1_000, `${at - revokedAt} ms`)
  })

  it('expire by themselves, in the middle of a tunnel', async () => {
    const { key } = await admin.createKey({
      name: 'short',
      scopes: ['proxy'],
      expires_at: new Date(Date.now() + 1_500).toISOString(),
    })
    const { status, socket } = await connectByHttp(key)
    assert.equal(status, 200)
    await closed(socket)
    assert.equal((await connectByHttp(key)).status, 407)
  })

  it('share nothing: what two of them call by the same name are two sessions', async () => {
    const made = await Promise.all(
      ['one', 'other'].map((name) => admin.createKey({ name, scopes: ['fetch', 'sessions'] })),
    )
    for (const { key, id } of made) {
      await clientOf(key).fetch({ url: url(), sticky_key: 'shop' })
      const { sessions } = await clientOf(key).sessions()
      assert.deepEqual(
        sessions.map(({ key: name, owner, requests }) => [name, owner, requests]),
        [['shop', id, 1]],
      )
    }
  })

  it('are seen by no site', async () => {
    const requests = await network.requests()
    assert.ok(requests.some(({ path }) => path === '/ip'))
    assert.doesNotMatch(JSON.stringify(requests), /cbt_|authorization/i)
  })

  it('outlast a restart, at which nothing is made or shown', async () => {
    const kept = await admin.createKey({ name: 'kept', scopes: ['workers:read'] })
    const gone = await admin.createKey({ name: 'gone', scopes: ['workers:read'] })
    await admin.revokeKey(gone.id)
    const adminKey = readFileSync(keyFile(), 'utf8').trim()
    rmSync(keyFile())
    await service[Symbol.asyncDispose]()
    service = await createService(config, {}, never)
    assert.equal(service.adminKey, undefined)
    assert.equal((await clientOf(kept.key).health()).total, 1)
    await assertRefused(clientOf(gone.key).health(), 'auth_invalid')
    assert.ok((await clientOf(adminKey).keys()).keys.some(({ id }) => id === kept.id))
    assert.throws(() => statSync(keyFile()), { code: 'ENOENT' })
  })
})

async function assertRefused(answer: Promise<unknown>, code: string): Promise<void> {
  await assert.rejects(answer, (error: { problem?: { code: string } }) => {
    assert.equal(error.problem?.code, code)
    return true
  })
}

/** However it ends. */
function closed(socket: Socket): Promise<unknown> {
  return new Promise((resolve) => socket.once('close', resolve))
}

async function connectByHttp(key: string): Promise<{ status: number; socket: Socket }> {
  const { hostname, port } = new URL(service.proxy.http ?? '')
  const socket = connect(Number(port), hostname).on('error', () => {})
  const target = `${new URL(network.urls.www).hostname}:80`
  const credentials = Buffer.from(`:${key}`).toString('base64')
  socket.write(`CONNECT ${target} HTTP/1.1\r\nhost: ${target}\r\nproxy-authorization: basic ${credentials}\r\n\r\n`)
  const [head] = (await once(socket, 'data')) as [Buffer]
  return { status: Number(/^HTTP\/1\.1 (\d+)/.exec(head.toString())?.[1]), socket }
}

async function connectBySocks(key: string): Promise<string> {
  const { hostname, port } = new URL(service.proxy.socks ?? '')
  const socket = connect(Number(port), hostname).on('error', () => {})
  socket.write(Buffer.from([5, 1, 2]))
  await once(socket, 'data')
  const user = 'isolate-destination'
  socket.write(
    Buffer.concat([Buffer.from([1, user.length]), Buffer.from(user), Buffer.from([key.length]), Buffer.from(key)]),
  )
  const [answer] = (await once(socket, 'data')) as [Buffer]
  socket.destroy()
  return answer.equals(Buffer.from([1, 0]))
    ? 'ok'
    : answer.equals(Buffer.from([1, 1]))
      ? 'refused'
      : answer.toString('hex')
}

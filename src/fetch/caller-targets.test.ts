import assert from 'node:assert/strict'
import { it } from 'node:test'
import { ANYBODY, type Caller } from '../domain/caller.ts'
import { createTargetPolicy } from './target-policy.ts'
import { createFetchLab } from './test-fetch-lab.ts'

const never = new AbortController().signal

/** A key that may reach a.test on port 80, but not private.a.test, of a service that reaches nothing on port 8080. */
const CALLER: Caller = {
  ...ANYBODY,
  id: 'k1',
  targets: { allow: ['a.test', ':80', ':8080'], deny: ['private.a.test'] },
}
const policy = createTargetPolicy().narrowedBy({ deny: [':8080'] })

it('holds a caller to the rules of its key on every way, at every hop, before any worker is asked', async () => {
  await using lab = await createFetchLab(undefined, { policy })
  const to: Record<string, string> = {
    '/out': 'http://b.test/',
    '/private': 'http://private.a.test/',
    '/port': 'http://a.test:443/',
    '/within': 'http://www.a.test/',
  }
  await lab.serve('a.test:80', (request, response) => {
    const location = to[request.url ?? '']
    if (location === undefined) response.end('ok')
    else response.writeHead(302, { location }).end()
  })
  for (const name of ['www.a.test:80', 'b.test:80', 'b.test:0', 'a.test:0'])
    await lab.serve(name, (_, response) => response.end('ok'))

  const { dialer, forwarder } = lab.fetcher
  const routing = { caller: CALLER, isolation: 'destination' } as const
  const forward = { ...routing, method: 'GET', headers: [], body: undefined }
  const refused = [
    ['b.test', 80, 'target_forbidden'],
    ['private.a.test', 80, 'target_forbidden'],
    ['93.184.216.34', 80, 'target_forbidden'],
    ['127.0.0.1', 80, 'target_forbidden'],
    ['a.test', 81, 'port_not_allowed'],
    ['a.test', 8080, 'port_not_allowed'],
  ] as const
  for (const [host, port, code] of refused) {
    await lab.fails(`http://${host}:${port}/`, code, { caller: CALLER })
    await assert.rejects(dialer.open({ ...routing, host, port }, undefined, never), { code })
    await assert.rejects(forwarder.forward({ ...forward, url: `http://${host}:${port}/` }, never), { code })
    if (code === 'target_forbidden') await assert.rejects(dialer.resolve({ ...routing, host }, never), { code })
  }
  assert.deepEqual(lab.workers.selections, [])

  for (const path of ['/out', '/private', '/port'])
    await lab.fails(`http://a.test${path}`, 'redirect_forbidden', { caller: CALLER })
  assert.equal((await lab.fetch('http://a.test/within', { caller: CALLER })).url, 'http://www.a.test/')
  assert.equal(await dialer.resolve({ ...routing, host: 'a.test' }, never), '198.51.100.1')
  using _ = await dialer.open({ ...routing, host: 'a.test', port: 80 }, undefined, never)
  assert.deepEqual([...new Set(lab.workers.dials.map(({ target }) => target.host))], ['a.test', 'www.a.test'])

  // Others are held to what holds for all.
  assert.equal((await lab.fetch('http://b.test/', { caller: ANYBODY })).status, 200)
  assert.equal((await lab.fetch('http://a.test/out')).url, 'http://b.test/')
  await lab.fails('http://b.test:8080/', 'port_not_allowed')
})

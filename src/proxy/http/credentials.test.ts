import assert from 'node:assert/strict'
import { describe, it } from 'node:test'
import { ANYBODY } from '../../domain/caller.ts'
import { FakeBackend } from '../fake-backend.ts'
import { admit } from './credentials.ts'

const basic = (text: string) => `Basic ${Buffer.from(text).toString('base64')}`
const header = (...values: string[]) => values.map((value) => ['Proxy-Authorization', value] as const)

describe('admit()', () => {
  it('takes a client without credentials only where no password is asked for', async () => {
    await using backend = new FakeBackend()
    assert.deepEqual(admit(backend, []), { isolation: 'destination', caller: ANYBODY, via: 'http' })
    backend.password = 'secret'
    assert.throws(() => admit(backend, []), { code: 'proxy_auth_required', message: /has no Proxy-Authorization/ })
  })

  it('reads as whom the request goes', async () => {
    await using backend = new FakeBackend()
    backend.password = 'se:cr et'
    assert.deepEqual(admit(backend, header(basic('isolate-none:se:cr et'))), {
      isolation: 'none',
      caller: ANYBODY,
      via: 'http',
    })
    assert.equal(admit(backend, header(basic('key-my-shop;:se:cr et'))).stickyKey, 'my-shop')
    assert.deepEqual(admit(backend, header(basic(':se:cr et'))), {
      isolation: 'destination',
      caller: ANYBODY,
      via: 'http',
    })
    assert.equal(
      admit(backend, header(`bAsIc   ${Buffer.from('worker-2:se:cr et').toString('base64')}`)).workerId,
      'tor02',
    )
    assert.throws(() => admit(backend, header(basic('alice:se:cr et'))), { code: 'user_name_invalid' })
  })

  it('says who asks, and takes no key that is not for the proxy', async () => {
    await using backend = new FakeBackend()
    backend.password = 'pw'
    const caller = { ...ANYBODY, id: 'k1', scopes: new Set(['proxy'] as const) }
    backend.caller = caller
    assert.equal(admit(backend, header(basic('key-a:pw'))).caller, caller)
    backend.caller = { ...caller, scopes: new Set(['admin'] as const) }
    assert.equal(admit(backend, header(basic(':pw'))).caller.id, 'k1')
    backend.caller = { ...caller, scopes: new Set(['fetch', 'workers:write'] as const) }
    // What is wrong with the user name is nobody's business who may not come in.
    for (const name of ['key-a', 'alice'])
      assert.throws(() => admit(backend, header(basic(`${name}:pw`))), {
        code: 'scope_missing',
        message: /with the scope "proxy"$/,
      })
  })

  it('refuses what is not one of Basic, also where no password is asked for', async () => {
    await using backend = new FakeBackend()
    const cases = [
      header('Basic !!!'),
      header('Basic'),
      header(''),
      header('Bearer abc'),
      header(`Basic ${Buffer.from('no colon').toString('base64')}`),
      header('Basic a2V5LWE6cHc=='),
      header('Basic a2V5 LWE6cHc='),
      header(`Basic ${Buffer.from([0x61, 0x3a, 0xff]).toString('base64')}`),
      header(basic('key-a:x'), basic('key-a:x')),
    ]
    for (const password of [undefined, 'x']) {
      backend.password = password
      for (const headers of cases)
        assert.throws(() => admit(backend, headers), { code: 'proxy_auth_required' }, JSON.stringify(headers))
    }
  })

  it('tells nothing of workers or grammar to who has no password', async () => {
    await using backend = new FakeBackend()
    backend.password = 'secret'
    for (const user of ['worker-9', 'worker-1', 'alice', ''])
      assert.throws(
        () => admit(backend, header(basic(`${user}:wrong`))),
        { message: /its password is no key, or one that is revoked or expired$/ },
        user,
      )
  })
})

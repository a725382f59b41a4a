import assert from 'node:assert/strict'
import { it } from 'node:test'
import { parseStoreUrl, showStoreAddress } from './store-url.ts'

it('the address of a store is an IP address or a socket, with or without TLS', () => {
  const none = { user: undefined, db: 0, hasTls: false }
  assert.deepEqual(parseStoreUrl('redis://10.0.0.5'), { ...none, at: { host: '10.0.0.5', port: 6379 } })
  assert.deepEqual(parseStoreUrl('redis://me@[fd00::5]:1/3'), {
    ...{ at: { host: 'fd00::5', port: 1 }, user: 'me', db: 3, hasTls: false },
  })
  assert.deepEqual(parseStoreUrl('rediss://10.0.0.5:6380/'), {
    ...{ ...none, at: { host: '10.0.0.5', port: 6380 }, hasTls: true },
  })
  assert.deepEqual(parseStoreUrl('redis+unix:///run/a%20b.sock?db=2'), {
    ...none,
    at: { path: '/run/a b.sock' },
    db: 2,
  })
  for (const wrong of [
    '',
    'redis://',
    'redis://[10.0.0.5]',
    'redis://fd00::5',
    'redis://[fe80::1%eth0]:1',
    'redis://a:b@1.2.3.4',
  ])
    assert.equal(typeof parseStoreUrl(wrong), 'string', wrong)
  assert.equal(showStoreAddress({ at: { host: 'fd00::5', port: 1 } }), '[fd00::5]:1')
  assert.equal(showStoreAddress({ at: { path: '/run/a' } }), '/run/a')
})

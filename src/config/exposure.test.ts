import assert from 'node:assert/strict'
import { describe, it } from 'node:test'
import { ConfigError, parseConfig } from './read-config.ts'

const tls = { cert_file: '/etc/cbtor/cert.pem', key_file: '/etc/cbtor/key.pem' }
const ON_THIS_MACHINE = 'an address of this machine alone (127.0.0.1, [::1] or unix:/PATH)'

function faultsOf(document: unknown): readonly string[] {
  try {
    parseConfig(document, { HOME: '/home/me' })
    return []
  } catch (error) {
    if (error instanceof ConfigError) return error.faults
    throw error
  }
}

const inTheClear = (field: string, at: string) =>
  `${field}: others can reach ${at}, and keys would cross the network in the clear: expected tls with cert_file and key_file, tls: offloaded where something in front does TLS, or ${ON_THIS_MACHINE}`
const withoutKey = (field: string, at: string, auth: string) =>
  `${field}: others can reach ${at}, and would need no key: expected ${auth}: on, or ${ON_THIS_MACHINE}`
const NO_NAME = 'expected an IP address or localhost, for a name would have to be looked up: such as 127.0.0.1:32211'

/** Each configuration that would be open to others in a way that nobody can want, and all that is said of it. */
const WRONG: readonly (readonly [document: object, ...faults: string[]])[] = [
  [{ listen: '0.0.0.0:32211' }, inTheClear('listen', '0.0.0.0:32211')],
  [{ listen: '[::]:32211' }, inTheClear('listen', '[::]:32211')],
  [{ listen: '192.168.1.5:32211' }, inTheClear('listen', '192.168.1.5:32211')],
  [{ listen: '[fd00::1]:32211' }, inTheClear('listen', '[fd00::1]:32211')],
  [{ listen: '[::ffff:192.0.2.1]:32211' }, inTheClear('listen', '[::ffff:192.0.2.1]:32211')],
  [{ proxy: { http: '0.0.0.0:8118' } }, inTheClear('proxy.http', '0.0.0.0:8118')],
  [{ proxy: { socks: '0.0.0.0:1080' } }, inTheClear('proxy.socks', '0.0.0.0:1080')],
  [{ proxy: { both: '0.0.0.0:1080' } }, inTheClear('proxy.both', '0.0.0.0:1080')],
  [{ auth: 'off', tls, listen: '0.0.0.0:1' }, withoutKey('listen', '0.0.0.0:1', 'auth')],
  [{ auth: 'off', tls: 'offloaded', listen: '0.0.0.0:1' }, withoutKey('listen', '0.0.0.0:1', 'auth')],
  [
    { auth: 'off', tls: 'offloaded' },
    'listen: others can reach 127.0.0.1:32211 through what does TLS for it, and would need no key: expected auth: on',
  ],
  [
    { auth: 'off', tls: 'offloaded', listen: 'unix:/run/api.sock' },
    'listen: others can reach unix:/run/api.sock through what does TLS for it, and would need no key: expected auth: on',
  ],
  [{ auth: 'off', tls, proxy: { http: '0.0.0.0:1' } }, withoutKey('proxy.http', '0.0.0.0:1', 'auth')],
  [{ tls, proxy: { auth: 'off', socks: '0.0.0.0:1' } }, withoutKey('proxy.socks', '0.0.0.0:1', 'proxy.auth')],
  [
    { auth: 'off', listen: '0.0.0.0:1', proxy: { http: '0.0.0.0:2', socks: '[::]:3' } },
    withoutKey('listen', '0.0.0.0:1', 'auth'),
    inTheClear('listen', '0.0.0.0:1'),
    withoutKey('proxy.http', '0.0.0.0:2', 'auth'),
    inTheClear('proxy.http', '0.0.0.0:2'),
    withoutKey('proxy.socks', '[::]:3', 'auth'),
    inTheClear('proxy.socks', '[::]:3'),
  ],
  [
    { listen: '0.0.0.0:1', colour: 'red', health: { check_interval: 5 } },
    'health.check_interval: expected a duration with its unit, such as 250ms, 10s or 15m, not 5',
    'colour: there is no such field',
    inTheClear('listen', '0.0.0.0:1'),
  ],
  [{ listen: 'gateway.lan:32211' }, `listen: ${NO_NAME}, not "gateway.lan:32211"`],
  [{ proxy: { http: 'gateway.lan:8118' } }, `proxy.http: ${NO_NAME}, or off, not "gateway.lan:8118"`],
  [
    { listen: '[fe80::1%eth0]:1' },
    'listen: expected an address without a zone, such as [::]:32211, not "[fe80::1%eth0]:1"',
  ],
  [
    { listen: 'unix:cbtor.sock' },
    'listen: expected HOST:PORT, such as 127.0.0.1:32211, or unix: and an absolute path, not "unix:cbtor.sock"',
  ],
  [{ tls: 'on' }, 'tls: expected cert_file and key_file with absolute paths, or offloaded, not "on"'],
  [{ tls: { cert_file: '/c.pem' } }, 'tls.key_file: expected an absolute path; it is missing'],
  [{ auth: false }, 'auth: expected on or off, not false'],
  [{ hosts: ['a b'] }, 'hosts.0: expected a host name, such as cbtor.lan or cbtor.lan:443, not "a b"'],
  [{ hosts: ['*'] }, 'hosts.0: expected a host name, such as cbtor.lan or cbtor.lan:443, not "*"'],
  [
    { hosts: ['https://cbtor.lan'] },
    'hosts.0: expected a host name, such as cbtor.lan or cbtor.lan:443, not "https://cbtor.lan"',
  ],
]

const RIGHT: readonly object[] = [
  {},
  { auth: 'off' },
  { auth: 'off', listen: 'localhost:1', proxy: { auth: 'off', http: '[::1]:2', socks: '127.9.9.9:3' } },
  { auth: 'off', listen: 'unix:/run/cbtor/api.sock', proxy: { both: 'unix:/run/cbtor/proxy.sock' } },
  { tls, listen: '0.0.0.0:32211', hosts: ['cbtor.lan', 'CBTOR.lan:8443', '192.168.1.5', '[fd00::1]:443'] },
  { tls, listen: '[::]:32211', proxy: { http: '0.0.0.0:8118', socks: '0.0.0.0:1080' } },
  { tls: 'offloaded', listen: '0.0.0.0:32211', proxy: { auth: 'on', both: '192.168.1.5:1080' } },
  { tls: 'offloaded', listen: '127.0.0.1:32211', hosts: ['cbtor.example.org'], proxy: { auth: 'off' } },
  { auth: 'off', tls, proxy: { auth: 'on', http: '0.0.0.0:8118' } },
]

describe('what others can reach', () => {
  it('is refused unless it asks for keys and nobody on the way can read them', () => {
    for (const [document, ...faults] of WRONG) assert.deepEqual(faultsOf(document), faults, JSON.stringify(document))
  })

  it('may be all that is protected, and what is of this machine alone as it likes', () => {
    for (const document of RIGHT) assert.deepEqual(faultsOf(document), [], JSON.stringify(document))
  })
})

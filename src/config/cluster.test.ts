import assert from 'node:assert/strict'
import { describe, it } from 'node:test'
import { replicaName } from './cluster.ts'
import { ConfigError } from './config-error.ts'
import { parseConfig } from './read-config.ts'

const env = { HOME: '/home/me' }

function faultsOf(document: object): readonly string[] {
  try {
    parseConfig(document, env)
    return []
  } catch (error) {
    if (error instanceof ConfigError) return error.faults
    throw error
  }
}

describe('the configuration of a cluster', () => {
  it('is one replica with a store of its own when nothing is said', () => {
    const { store, cluster } = parseConfig({}, env)
    assert.equal(store, 'embedded')
    assert.deepEqual(
      { ...cluster, replica: '' },
      {
        ...{ replica: '', prefix: 'cbtor', secret_file: '/home/me/.local/state/cbtor/pool-secret' },
        ...{ worker_port: 'off', advertise: undefined, peers: [] },
      },
    )
  })

  it('has a name made of that of the host, which is the same each time and of its own', () => {
    assert.equal(replicaName('gw1.example.org'), 'gw1')
    assert.equal(replicaName('GW_1'), 'gw-1')
    assert.equal(replicaName('4f3c2a'), 'gw-4f3c2a')
    assert.equal(replicaName(''), 'gw')
    const long = ['gateway-in-paris-1', 'gateway-in-paris-2', '-'.repeat(64), '9'.repeat(64)].map(replicaName)
    assert.equal(new Set(long).size, 4)
    for (const name of long) assert.match(name, /^[a-z][a-z0-9-]{0,15}$/)
  })

  it('lets others dial where the worker port is, unless another address is said', () => {
    const advertised = (cluster: object) => parseConfig({ cluster }, env).cluster.advertise
    const at = { host: '10.0.0.11', port: 32212 }
    assert.deepEqual(advertised({ worker_port: '10.0.0.11:32212' }), at)
    assert.deepEqual(advertised({ worker_port: '0.0.0.0:1', advertise: '10.0.0.11:32212' }), at)
    assert.equal(advertised({ worker_port: '127.0.0.1:0' }), undefined)
    assert.equal(advertised({ advertise: '10.0.0.11:32212' }), undefined)
  })

  it('says what is wrong, without what may be a secret', () => {
    assert.match(faultsOf({ store: 'redis://me:planted@10.0.0.5' }).join(), /^store: expected no password.*file/)
    assert.ok(!faultsOf({ store: 'redis://me:planted@10.0.0.5' }).join().includes('planted'))
    assert.match(faultsOf({ store: 'redis://store.lan' }).join(), /expected an IP address, for a name/)
    for (const store of ['redis', 'http://10.0.0.5', 'redis://10.0.0.5:0', 'redis+unix://x', 'redis://1.2.3.4/x'])
      assert.match(faultsOf({ store }).join(), /^store: expected embedded, redis:.*, not "/)
    assert.deepEqual(faultsOf({ store: 'redis://me@10.0.0.5', cluster: { ca_file: '/ca.pem' } }), [
      'store: a user has a password: expected cluster.password_file',
      'cluster.ca_file: it is for a store with TLS: expected store: rediss://IP:PORT',
    ])
    assert.match(faultsOf({ cluster: { worker_port: '[::]:1' } }).join(), /others cannot dial \[::\]:1/)
    assert.match(faultsOf({ cluster: { worker_port: 'gw1:1' } }).join(), /expected an IP address and a port.*, or off/)
    assert.match(faultsOf({ cluster: { peers: ['8.8.8.8:1'] } }).join(), /peers.0: expected .* of your own and a port/)
    assert.match(faultsOf({ cluster: { advertise: '0.0.0.0:1' } }).join(), /cluster.advertise: expected an IP/)
    assert.match(faultsOf({ listen: '127.0.0.1:1', cluster: { worker_port: '127.0.0.1:1' } }).join(), /another address/)
    assert.match(
      faultsOf({ cluster: { replica: 'Gw 1', prefix: '{x}' } }).join(),
      /replica: expected.*prefix: expected/s,
    )
  })
})

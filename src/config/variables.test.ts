import assert from 'node:assert/strict'
import { describe, it } from 'node:test'
import { configFields } from './fields.ts'
import { loadConfig } from './read-config.ts'
import { OTHER_VARIABLES, variableOf } from './variables.ts'

const load = (env: Record<string, string>) => loadConfig({}, { HOME: '/home/me', ...env })

describe('variables', () => {
  it('are there for every field with one value, each with a name of its own', () => {
    const names = configFields().map(variableOf)
    assert.equal(new Set([...names, ...OTHER_VARIABLES]).size, names.length + OTHER_VARIABLES.length)
    const scalars = configFields().filter(({ kind }) => kind === 'scalar')
    assert.ok(scalars.length > 45)
    for (const field of scalars) {
      const [example = field.schema.default] = field.schema.examples ?? []
      if (typeof example === 'object' || example === undefined) continue
      const { placeOf } = load({ [variableOf(field)]: String(example) })
      assert.deepEqual(placeOf(field.path), { kind: 'variable', name: variableOf(field) })
    }
  })

  it('set what they are named for, in its type', () => {
    const { config } = load({
      CBTOR_HEALTH_CHECK_INTERVAL: '5s',
      CBTOR_PROXY_HTTP: 'off',
      CBTOR_LIMITS_RATE: '7.5',
      CBTOR_LIMITS_BURST: 'off',
      CBTOR_CIRCUITS_STOCK: '0',
      CBTOR_POLITENESS_HONOUR_RETRY_AFTER: 'false',
      CBTOR_JOBS_RETRY_HTTP_RETRIES: '3',
      CBTOR_TLS_CERT_FILE: '/c',
      CBTOR_TLS_KEY_FILE: '/k',
    })
    assert.equal(config.health.check_interval, 5_000)
    assert.equal(config.proxy.http, 'off')
    assert.deepEqual([config.limits.rate, config.limits.burst], [7.5, Number.POSITIVE_INFINITY])
    assert.equal(config.circuits.stock, 0)
    assert.ok(config.politeness !== 'off' && !config.politeness.honour_retry_after)
    assert.equal(config.jobs.retry.http.retries, 3)
    assert.deepEqual(config.tls, { cert_file: '/c', key_file: '/k' })
    assert.equal(load({ CBTOR_POLITENESS: 'off', CBTOR_TLS: 'offloaded' }).config.politeness, 'off')
  })

  it('do not say two things of one field', () => {
    assert.throws(() => load({ CBTOR_POLITENESS: 'off', CBTOR_POLITENESS_RATE: '1' }), {
      faults: ['CBTOR_POLITENESS_RATE: expected not to be set beside CBTOR_POLITENESS, which sets all of politeness'],
    })
  })
})

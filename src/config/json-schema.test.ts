import assert from 'node:assert/strict'
import { globSync, readFileSync } from 'node:fs'
import { describe, it } from 'node:test'
import { Ajv } from 'ajv'
import fc from 'fast-check'
import { parse } from 'yaml'
import { configFields } from './fields.ts'
import { configJsonSchema, configJsonSchemaText } from './json-schema.ts'
import { parseConfig } from './read-config.ts'

const validate = new Ajv({ allErrors: true, allowUnionTypes: true }).compile(configJsonSchema() as object)
const env = { HOME: '/home/me' }

describe('the JSON Schema of the configuration', () => {
  it('is the one that is published', () => {
    const published = readFileSync('docs/cbtor.schema.json', 'utf8')
    assert.equal(published, configJsonSchemaText(), 'write it anew by script/config-schema')
  })

  it('says of every field what it is', () => {
    const silent = configFields().filter(({ schema }) => (schema.description ?? '').length < 10)
    assert.deepEqual(
      silent.map(({ name }) => name),
      [],
    )
  })

  it('has examples and defaults that are right', () => {
    for (const { path, schema } of configFields()) {
      const given = [...(schema.examples ?? []), ...(schema.default === undefined ? [] : [schema.default])]
      for (const example of given) {
        const document = path.reduceRight<unknown>((value, key) => ({ [key]: value }), example)
        assert.ok(validate(document), `${path}: ${JSON.stringify(validate.errors)}`)
        // Half of a certificate is none, and an address for everybody takes one.
        if (path.join() !== 'tls' && example !== '0.0.0.0:32211') parseConfig(document, env)
      }
    }
  })

  it('takes the files of docs/examples, which name it', () => {
    const files = globSync('docs/examples/*.yaml')
    assert.ok(files.length >= 4)
    for (const file of files) {
      const text = readFileSync(file, 'utf8')
      assert.match(text, /^# yaml-language-server: \$schema=\.\.\/cbtor\.schema\.json\n/)
      assert.ok(validate(parse(text)), `${file}: ${JSON.stringify(validate.errors)}`)
      parseConfig(parse(text), env)
    }
  })

  it('refuses what the service refuses of kinds, names and ranges', () => {
    for (const wrong of [
      { colour: 'red' },
      { health: { check_interval: 5 } },
      { health: { check_interval: '5' } },
      { health: { failure_threshold: 0 } },
      { log: 'loud' },
      { workers: [] },
      { workers: [{ kind: 'local' }] },
      { workers: [{ kind: 'lokal', id: 'a' }] },
      { workers: [{ kind: 'local', id: 'A' }] },
      { politeness: 'on' },
      { tls: { cert_file: 'relative', key_file: '/k' } },
      { jobs: { max_stored: '5 GB' } },
    ])
      assert.ok(!validate(wrong), JSON.stringify(wrong))
  })

  it('takes whatever the service takes', () => {
    const duration = fc.constantFrom('0s', '1s', '90s', '1.5m', '250ms', '1h', 'x', '5')
    const section = (fields: Record<string, fc.Arbitrary<unknown>>) => fc.record(fields, { requiredKeys: [] })
    const document = section({
      log: fc.constantFrom('info', 'debug', 'x'),
      hosts: fc.array(fc.constantFrom('a', 'A.B:1', '[::1]:2', '*'), { maxLength: 3 }),
      health: section({ check_interval: duration, failure_threshold: fc.integer({ min: 0, max: 101 }) }),
      limits: section({
        rate: fc.constantFrom(1, 0.5, 0, 'off', 'x'),
        bytes_per_day: fc.constantFrom('off', '5GiB', '1B', '5 GB'),
      }),
      politeness: fc.oneof(fc.constant('off'), section({ rate: fc.integer({ min: -1, max: 3 }) })),
      checks: section({ clearnet: fc.array(fc.constantFrom('https://a/', 'ftp://a', 'x'), { maxLength: 2 }) }),
    })
    fc.assert(
      fc.property(document, (written) => {
        const isTaken = (() => {
          try {
            parseConfig(written, env)
            return true
          } catch {
            return false
          }
        })()
        if (isTaken) assert.ok(validate(written), JSON.stringify(validate.errors))
      }),
    )
  })
})

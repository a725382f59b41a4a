import assert from 'node:assert/strict'
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { describe, it } from 'node:test'
import { ConfigError, parseConfig, readConfig } from './read-config.ts'

const env = { HOME: '/home/me' }

function withFile<T>(text: string, use: (path: string) => T): T {
  const directory = mkdtempSync(join(tmpdir(), 'cbtor-config-'))
  try {
    writeFileSync(join(directory, 'cbtor.yaml'), text)
    return use(join(directory, 'cbtor.yaml'))
  } finally {
    rmSync(directory, { recursive: true })
  }
}

function faultsOf(read: () => unknown): readonly string[] {
  try {
    read()
  } catch (error) {
    if (error instanceof ConfigError) return error.faults
    throw error
  }
  return []
}

it('a fault does not show what may be a secret in the place of the file that has it, nor what no field takes', () => {
  const secret = 'zq7planted'
  const faults = faultsOf(() =>
    parseConfig(
      {
        tls: { cert_file: secret, key_file: secret },
        workers: [{ kind: 'external', id: 'a', socks: '127.0.0.1:1', control: '127.0.0.1:2', password_file: secret }],
        proxy: { password: secret, [`${secret}`]: 1 },
        log_format: 'loud',
      },
      env,
    ),
  )
  assert.ok(faults.length >= 4, faults.join('\n'))
  assert.ok(faults.some((fault) => fault.endsWith('not "loud"')))
  // A name is shown, as somebody has to find it.
  assert.deepEqual(
    faults.filter((fault) => fault.includes(secret)),
    [`proxy.${secret}: there is no such field`],
  )
})

describe('the configuration', () => {
  it("is the original's when nothing is said", () => {
    const config = readConfig({}, env)
    assert.deepEqual(config.listen, { host: '127.0.0.1', port: 32211 })
    assert.equal(config.state, '/home/me/.local/state/cbtor')
    assert.deepEqual(
      config.workers.map((worker) => worker.id),
      ['tor01', 'tor02', 'tor03', 'tor04'],
    )
    assert.deepEqual(config.health, {
      check_interval: 10_000,
      check_timeout: 10_000,
      failure_threshold: 3,
      recovery_backoff: [1_000, 2_000, 4_000, 8_000, 16_000, 32_000],
      reboot_after_attempts: 6,
      reboot_wait: 90_000,
      warm_up_interval: 600_000,
    })
  })

  it('is taken from the file, then from the environment, then from the flags', () => {
    const text = 'listen: 127.0.0.1:1\nmode: sticky\nlog: debug\n'
    const config = withFile(text, (path) =>
      readConfig({ config: path, log: 'error' }, { ...env, CBTOR_LISTEN: '[::1]:2', CBTOR_LOG: 'warn' }),
    )
    assert.deepEqual([config.listen, config.mode, config.log], [{ host: '::1', port: 2 }, 'sticky', 'error'])
  })

  it('tells all faults at once, with the name, the value and what would be right', () => {
    const text = `
listen: nowhere
colour: red
health: { check_interval: 10, failure_threshold: 0 }
targets: { allow_reserved: [203.0.113.0/33], allow: ['a b'], deny: [example.com, 1.2.3], allow_ports: [0] }
checks: { onion: ['http://example.com/'] }
workers: [{ kind: local, id: Tor 1 }]
`
    const faults = withFile(text, (path) => faultsOf(() => readConfig({ config: path }, { ...env, CBTOR_PORT: '1' })))
    assert.deepEqual(
      faults.map((fault) => /^(?:.*cbtor\.yaml:)?(.*?): (?:expected|not|there|is no)/.exec(fault)?.[1]),
      [
        'CBTOR_PORT',
        '2:9: listen',
        '7:30: workers.0.id',
        '5:29: targets.allow_reserved.0',
        '5:104: targets.allow_ports.0',
        '5:54: targets.allow.0',
        '5:82: targets.deny.1',
        '4:27: health.check_interval',
        '4:50: health.failure_threshold',
        '6:19: checks.onion.0',
        '3:1: colour',
      ],
    )
    assert.match(
      faults[1] ?? '',
      /expected HOST:PORT, such as 127\.0\.0\.1:32211, or unix: and an absolute path, not "nowhere"/,
    )
    assert.match(
      faults[6] ?? '',
      /expected a network such as .*, a host such as .*, or a port such as :443, not "1\.2\.3"/,
    )
  })

  it('names a file that is missing or is not YAML', () => {
    assert.match(
      faultsOf(() => readConfig({ config: '/nowhere.yaml' }, env))[0] ?? '',
      /^\/nowhere\.yaml: cannot be read/,
    )
    const faults = withFile('listen: [', (path) => faultsOf(() => readConfig({ config: path }, env)))
    assert.match(faults[0] ?? '', /cbtor\.yaml:1:10: it is not YAML: /)
  })

  it('refuses two workers of one name', () => {
    const worker = { kind: 'local', id: 'tor01' }
    assert.deepEqual(
      faultsOf(() => parseConfig({ workers: [worker, worker] }, env)),
      ['workers.1.id: another worker has the id tor01 already'],
    )
  })

  it('has an address of its own for each port, and says which other one has it', () => {
    const faultsOfProxy = (proxy: object, listen = '127.0.0.1:1') => faultsOf(() => parseConfig({ listen, proxy }, env))
    assert.deepEqual(faultsOfProxy({ http: '8118', both: 'localhost:8118' }), [
      'proxy.both: expected another address than that of proxy.http, 127.0.0.1:8118; it is one port for HTTP and SOCKS5, so leave the other two out',
    ])
    assert.deepEqual(faultsOfProxy({ http: '9', socks: '9' }, '127.0.0.1:9'), [
      'proxy.http: expected another address than that of listen, 127.0.0.1:9',
      'proxy.socks: expected another address than that of listen, 127.0.0.1:9',
    ])
    for (const proxy of [{ http: '0', socks: '0' }, { http: '127.0.0.2:1' }, { both: 'off' }])
      assert.doesNotThrow(() => parseConfig({ listen: '127.0.0.1:1', proxy }, env))
    assert.deepEqual(parseConfig({ proxy: { both: 'off' } }, env).proxy, parseConfig({}, env).proxy)
  })

  it('ends no tunnel at once, nor so late that no timer can wait for it', () => {
    const faultsOfTimeout = (timeout: unknown) => faultsOf(() => parseConfig({ proxy: { idle_timeout: timeout } }, env))
    for (const timeout of ['0s', '999ms', '8d'])
      assert.deepEqual(faultsOfTimeout(timeout), [
        `proxy.idle_timeout: expected a duration from 1s to 7d, not "${timeout}"`,
      ])
    assert.deepEqual(faultsOfTimeout(5), [
      'proxy.idle_timeout: expected a duration with its unit, such as 250ms, 10s or 15m, not 5',
    ])
    assert.deepEqual(
      faultsOf(() => parseConfig({ listen: 32211 }, env)),
      ['listen: expected HOST:PORT, such as 127.0.0.1:32211, or unix: and an absolute path, not 32211'],
    )
  })

  it('asks for keys unless it is told not to, and on the proxy ports as everywhere', () => {
    const authOf = (document: object) => {
      const { auth, proxy } = parseConfig(document, env)
      return [auth, proxy.auth]
    }
    assert.deepEqual(authOf({}), ['on', 'on'])
    assert.deepEqual(authOf({ auth: 'off' }), ['off', 'off'])
    assert.deepEqual(authOf({ proxy: { auth: 'off' } }), ['on', 'off'])
    assert.deepEqual(authOf({ auth: 'off', proxy: { auth: 'on' } }), ['off', 'on'])
  })

  it('leaves the key of a command alone', () => {
    assert.doesNotThrow(() => readConfig({}, { ...env, CBTOR_KEY: 'cbt_a_b' }))
  })

  it('has the proxy on two ports, on one for both, or on none', () => {
    const proxyOf = (proxy: object) => parseConfig({ proxy }, env).proxy
    const at = (port: number) => ({ host: '127.0.0.1', port })
    const others = { auth: 'on', idle_timeout: 300_000 }
    assert.deepEqual(proxyOf({}), { http: at(8118), socks: at(1080), both: undefined, ...others })
    assert.deepEqual(proxyOf({ both: '9050' }), { http: 'off', socks: 'off', both: at(9050), ...others })
    assert.deepEqual(proxyOf({ http: 'off', both: '9050', socks: '1081' }).socks, at(1081))
    assert.equal(proxyOf({ http: 'off' }).http, 'off')
    for (const host of ['localhost', '[::1]', '127.0.0.2']) assert.doesNotThrow(() => proxyOf({ socks: `${host}:1` }))
    assert.match(
      faultsOf(() => proxyOf({ http: 'on', socks: false })).join(),
      /http: expected HOST:PORT.*socks: expected/,
    )
  })
})

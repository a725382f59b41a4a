import assert from 'node:assert/strict'
import { execFileSync } from 'node:child_process'
import { copyFileSync, globSync, mkdirSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { after, describe, it } from 'node:test'
import { parse } from 'yaml'
import { writeBoxFile } from '../../boxes/box-file.ts'
import { createWireguardKeys } from '../../boxes/wireguard-keys.ts'
import { parseConfig } from '../../config/read-config.ts'
import { runTestCli } from '../test-cli.ts'

const directory = mkdtempSync(join(tmpdir(), 'cbtor-config-cli-'))
after(() => rmSync(directory, { recursive: true }))
const env = { HOME: '/home/me', PATH: process.env.PATH ?? '' }

function file(text: string, name = 'cbtor.yaml'): string {
  const path = join(directory, name)
  writeFileSync(path, text)
  return path
}

/** A certificate in `.pem` and its key in `.key`. */
function makePair(path: string): void {
  const pair = ['-newkey', 'ec', '-pkeyopt', 'ec_paramgen_curve:P-256', '-nodes', '-days', '9', '-subj', '/CN=x']
  execFileSync('openssl', ['req', '-x509', ...pair, '-keyout', `${path}.key`, '-out', `${path}.pem`], {
    stdio: 'ignore',
  })
}

const TWO = 'workers: [{ kind: local, id: a }, { kind: local, id: b }]\ntor: { command: [sh] }\n'

describe('cbtor config check', () => {
  it('says that nothing is wrong', async () => {
    const path = file(`${TWO}state: /var/lib/cbtor\n`)
    for (const argv of [[path], ['--config', path]])
      assert.deepEqual(await runTestCli(['config', 'check', ...argv], env), {
        code: 0,
        out: `${path}: nothing is wrong\n`,
        err: '',
      })
  })

  it('tells all faults with their lines, and ends with 2', async () => {
    const path = file('lisen: 127.0.0.1:1\nhealth:\n  check_interval: 5\n')
    const { code, out, err } = await runTestCli(['config', 'check', path], { ...env, CBTOR_LOG: 'inf' })
    assert.deepEqual([code, out], [2, ''])
    assert.deepEqual(err.split('\n'), [
      'CBTOR_LOG: log: expected error, warn, info, debug or silent, not "inf"; did you mean info?',
      `${path}:3:19: health.check_interval: expected a duration with its unit, such as 250ms, 10s or 15m, not 5`,
      `${path}:1:1: lisen: there is no such field; did you mean listen?`,
      '',
    ])
    const told = JSON.parse((await runTestCli(['config', 'check', path, '--json'], env)).out)
    assert.equal(told.ok, false)
    assert.deepEqual(told.faults[1].place, { kind: 'file', file: path, line: 1, column: 1 })
    assert.equal((await runTestCli(['config', 'check', '/nowhere.yaml'], env)).code, 2)
  })

  it('looks at the files that are named', async () => {
    const path = file(`
tls: { cert_file: ${directory}/cert.pem, key_file: ${directory}/key.pem }
targets: { ca_file: ${directory}/cbtor.yaml }
state: ${directory}
tor: { command: [no-such-tor] }
tunnels: { helper: ${directory}/no.sock }
workers:
  - { kind: local, id: a }
  - { kind: openwrt, id: b }
  - { kind: external, id: c, socks: 127.0.0.1:1, control: 127.0.0.1:2, password_file: ${directory}/no-password }
  - { kind: external, id: d, socks: 127.0.0.1:3, control: 127.0.0.1:4, cookie_file: ${directory}/no-cookie }
`)
    const { code, err } = await runTestCli(['config', 'check', path], env)
    assert.equal(code, 2)
    const said = err.replaceAll(`${directory}/`, '')
    for (const fault of [
      /^cbtor\.yaml:2:\d+: tls\.cert_file: cert\.pem cannot be read/m,
      /^cbtor\.yaml:3:\d+: targets\.ca_file: cbtor\.yaml holds no certificate/m,
      /^cbtor\.yaml:9:\d+: workers\.1\.id: .*make it with: cbtor workers install$/m,
      /^cbtor\.yaml:10:\d+: workers\.2\.password_file: no-password cannot be read/m,
      /^warning: cbtor\.yaml:11:\d+: workers\.3\.cookie_file: no-cookie cannot be read/m,
      /^warning: cbtor\.yaml:5:\d+: tor\.command: there is no program no-such-tor/m,
      /^warning: cbtor\.yaml:6:\d+: tunnels\.helper: there is no socket at no\.sock/m,
    ])
      assert.match(said, fault)

    for (const name of ['cert', 'other']) makePair(`${directory}/${name}`)
    const tls = (key: string) =>
      file(`${TWO}tls: { cert_file: ${directory}/cert.pem, key_file: ${directory}/${key} }\n`, 'tls.yaml')
    assert.equal((await runTestCli(['config', 'check', tls('cert.key')], env)).code, 0)
    assert.match(
      (await runTestCli(['config', 'check', tls('other.key')], env)).err,
      /is not the key of the certificate/,
    )
  })

  it('warns of what is allowed and unwise', async () => {
    const path = file(`
auth: off
state: /tmp/cbtor
workers: [{ kind: external, id: a, socks: 127.0.0.1:1 }]
circuits: { rate: 10 }
exits: { min_families: 1 }
health: { check_interval: 1s }
targets: { allow_ports: [25], allow_reserved: [10.0.0.0/8] }
checks: { clearnet: ['https://one.example/'] }
`)
    const { code, err } = await runTestCli(['config', 'check', path], env)
    assert.equal(code, 0)
    const fields = [...err.matchAll(/^warning: (?:.*?:\d+:\d+: )?([\w.]+)(?: \(a\))?: /gm)].map(([, field]) => field)
    assert.deepEqual(fields, [
      ...['auth', 'state', 'workers', 'workers', 'circuits.rate', 'exits', 'targets.allow_reserved'],
      ...['targets.allow_ports', 'health.check_interval', 'health.check_timeout', 'checks.clearnet'],
    ])
    assert.match((await runTestCli(['config', 'check', file('\n')], env)).err, /the file says nothing/)
  })

  it('finds nothing wrong or unwise in the examples, where their boxes are installed and their files are', async () => {
    const state = join(directory, 'with-boxes')
    mkdirSync(join(state, 'boxes'), { recursive: true })
    const { privateKey, publicKey: boxPublicKey } = createWireguardKeys()
    for (const [n, id] of ['tor01', 'tor02', 'tor03', 'tor04', 'box01', 'box02'].entries())
      writeBoxFile(state, {
        id,
        ssh: { host: '192.0.2.11', port: 22, user: 'root', hostKey: `SHA256:${'a'.repeat(43)}`, keyFile: '/keys/id' },
        tunnel: {
          ...{ n: n + 1, privateKey, boxPublicKey, listenPort: 51_820 + n },
          ...{ boxEndpoint: '192.0.2.11:51820', hostEndpoint: `192.0.2.2:${51_820 + n}` },
        },
        ...{ payload: '1-abc', packageManager: 'opkg' },
      })
    makePair(join(state, 'cert'))
    for (const [from, to] of [
      ['cert.key', 'key.pem'],
      ['cert.pem', 'ca.pem'],
    ] as const)
      copyFileSync(join(state, from), join(state, to))
    for (const secret of ['pool-secret', 'store-password', 'rack01-password'])
      writeFileSync(join(state, secret), Buffer.alloc(32, 7).toString('base64'), { mode: 0o600 })
    const examples = globSync('docs/examples/*.yaml')
    assert.ok(examples.length >= 4)
    for (const name of examples) {
      const example = file(readFileSync(name, 'utf8').replaceAll('/etc/cbtor/', `${state}/`), 'example.yaml')
      const { err, code, out } = await runTestCli(['config', 'check', example], { ...env, CBTOR_STATE: state })
      // What runs on the machine, and that this state is one of a test.
      const ofMachine = /CBTOR_STATE: state:|no socket|cookie_file|there is no program tor/
      const left = err.split('\n').filter((text) => text !== '' && !ofMachine.test(text))
      assert.deepEqual([code, left, out], [0, [], `${example}: nothing is wrong\n`], name)
    }
  })
})

describe('cbtor config show', () => {
  it('has every value, and where it comes from', async () => {
    const path = file(`
health:
  check_interval: 5s
limits: { bytes_per_day: 20GiB }
checks: { clearnet: ['https://me:zq7planted@one.example/'] }
tor: { torrc: ['HashedControlPassword 16:zq7planted', 'Bridge obfs4 192.0.2.1:1 zq7planted'] }
workers: [{ kind: local, id: a, torrc: ['Bridge zq7planted'] }, { kind: external, id: b, socks: '[::1]:9050' }]
`)
    const { code, out } = await runTestCli(['config', 'show', path], { ...env, CBTOR_MODE: 'sticky' })
    assert.equal(code, 0)
    for (const shown of [
      'listen: 127.0.0.1:32211 # default\n',
      'state: /home/me/.local/state/cbtor # default\n',
      'mode: sticky # CBTOR_MODE\n',
      `  check_interval: 5s # ${path}:3:19\n`,
      '  check_timeout: 10s # default\n',
      '  rate: 100 # default\n',
      `  bytes_per_day: 20GiB # ${path}:4:26\n`,
      'warm_up_interval: 10m # default\n',
      'max_stored: 1GiB # default\n',
      'retention: 7d # default\n',
    ])
      assert.ok(out.includes(shown), `${shown}\n${out}`)
    assert.doesNotMatch(out, /zq7planted/)
    assert.match(out, /Bridge \*\*\*/)
  })

  it('is a file that says the same', async () => {
    const written =
      'proxy: { both: "9050" }\npoliteness: off\njobs: { webhook_allow: ["127.0.0.1:9", "[fd00::/8]:9"] }\n'
    const path = file(written)
    const shown = parse((await runTestCli(['config', 'show', path], env)).out)
    assert.deepEqual(parseConfig(shown, env), parseConfig(parse(written), env))
    const fields = JSON.parse((await runTestCli(['config', 'show', path, '--json'], env)).out)
    assert.deepEqual(fields[0], { field: 'listen', value: '127.0.0.1:32211', from: 'default' })
    assert.deepEqual(await runTestCli(['config', 'show', file('log: x')], env).then(({ code, out }) => [code, out]), [
      2,
      '',
    ])
  })
})

it('cbtor config schema prints what is published', async () => {
  const { out } = await runTestCli(['config', 'schema'], env)
  assert.equal(out, readFileSync('docs/cbtor.schema.json', 'utf8'))
})

import assert from 'node:assert/strict'
import { execFileSync } from 'node:child_process'
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { after, describe, it } from 'node:test'
import fc from 'fast-check'
import { ConfigError } from './config-error.ts'
import { loadConfig } from './read-config.ts'

const directory = mkdtempSync(join(tmpdir(), 'cbtor-faults-'))
after(() => rmSync(directory, { recursive: true }))
const path = join(directory, 'cbtor.yaml')

/** What is said of the file, without its directory. */
function faultsOf(
  text: string | Buffer,
  env: Record<string, string> = {},
  flags: Record<string, string> = {},
): readonly string[] {
  writeFileSync(path, text)
  try {
    loadConfig({ config: path, ...flags }, { HOME: '/home/me', ...env })
    return []
  } catch (error) {
    if (!(error instanceof ConfigError)) throw error
    return error.faults.map((fault) => fault.replace(`${directory}/`, ''))
  }
}

function loadFaults(flags: Record<string, string>, env: Record<string, string>): ConfigError {
  try {
    loadConfig(flags, { HOME: '/home/me', ...env })
  } catch (error) {
    if (error instanceof ConfigError) return error
    throw error
  }
  throw new Error('it has no fault')
}

/** Each text, and all that is said of it. */
const WRONG: readonly (readonly [text: string, ...faults: string[]])[] = [
  ['- listen: 1\n', 'cbtor.yaml:1:1: expected fields, such as "listen: 127.0.0.1:32211", not a list'],
  ['\n\nlisten\n', 'cbtor.yaml:3:1: expected fields, such as "listen: 127.0.0.1:32211", not a single value'],
  ['log: info\nlog: warn\n', 'cbtor.yaml:2:1: the field log is there more than once here'],
  ['health:\n\tcheck_interval: 5s\n', 'cbtor.yaml:2:1: there is a tab: expected blanks before a field'],
  [
    'log: info\n---\nlog: warn\n',
    'cbtor.yaml:2:1: there is a second document: expected one, without a line of "---" in it',
  ],
  ['log: !mine info\n', 'cbtor.yaml:1:6: there is a tag (!name): expected plain values'],
  ['log: *level\n', 'cbtor.yaml:1:6: there is no anchor &level before the alias *level'],
  [
    `a: &a [${'x,'.repeat(9)}]\nb: &b [${'*a,'.repeat(50)}]\nc: [${'*b,'.repeat(50)}]\n`,
    'cbtor.yaml:1:1: its aliases stand for more than they may: write out what they stand for',
  ],
  [`log: ${'['.repeat(100_000)}`, 'cbtor.yaml:1:1: the file nests deeper than 32 levels'],
  [`${'- '.repeat(10_000)}x\n`, 'cbtor.yaml:1:1: the file nests deeper than 32 levels'],
  [
    'health:\n  check_intervall: 5s\n  check_timeout: 5\n',
    'cbtor.yaml:3:18: health.check_timeout: expected a duration with its unit, such as 250ms, 10s or 15m, not 5',
    'cbtor.yaml:2:3: health.check_intervall: there is no such field; did you mean check_interval?',
  ],
  [
    'check_interval: 5s\n',
    'cbtor.yaml:1:1: check_interval: there is no such field here; did you mean health.check_interval?',
  ],
  ['log: inf\n', 'cbtor.yaml:1:6: log: expected error, warn, info, debug or silent, not "inf"; did you mean info?'],
  [
    'health:\n',
    'cbtor.yaml:1:8: health: expected fields, such as check_interval, check_timeout or failure_threshold, not an empty value',
  ],
  [
    'health: [1]\n',
    'cbtor.yaml:1:9: health: expected fields, such as check_interval, check_timeout or failure_threshold, not a list',
  ],
  ['workers: 4\n', 'cbtor.yaml:1:10: workers: expected a list, not 4'],
  ['workers: []\n', 'cbtor.yaml:1:10: workers: expected 1 worker at least, not a list'],
  ['workers: [tor01]\n', 'cbtor.yaml:1:11: workers.0: expected local, openwrt or external, not "tor01"'],
  [
    'workers:\n  - { kind: lokal, id: a }\n  - { id: b }\n  - { kind: local, id: c, clearnet: socks }\n',
    'cbtor.yaml:2:13: workers.0.kind: expected local, openwrt or external, not "lokal"; did you mean local?',
    'cbtor.yaml:3:5: workers.1.kind: expected local, openwrt or external; it is missing',
    'cbtor.yaml:4:27: workers.2.clearnet: there is no such field here',
  ],
  [
    'workers:\n  - { kind: local, id: a }\n  - { kind: local, id: a }\n',
    'cbtor.yaml:3:24: workers.1.id: another worker has the id a already',
  ],
  [
    'politeness: { rate: fast, burts: 1 }\n',
    'cbtor.yaml:1:21: politeness.rate: expected a number above 0, or off, not "fast"',
    'cbtor.yaml:1:27: politeness.burts: there is no such field; did you mean burst?',
  ],
  [
    'tls: { cert_file: secret-of-mine, key_file: secret-of-mine }\n',
    'cbtor.yaml:1:19: tls.cert_file: expected an absolute path',
    'cbtor.yaml:1:45: tls.key_file: expected an absolute path',
  ],
  [
    "checks: { clearnet: ['ftp://me:secret@example.com/'] }\n",
    'cbtor.yaml:1:22: checks.clearnet.0: expected an http or https URL, not "ftp://***@example.com/"',
  ],
  [
    'circuits: { stock: 1.5, rate: 0 }\n',
    'cbtor.yaml:1:20: circuits.stock: expected a whole number from 0 to 1000, not 1.5',
    'cbtor.yaml:1:31: circuits.rate: expected a number above 0, not 0',
  ],
  [
    "tor: { torrc: ['SafeLogging 0'] }\nworkers:\n  - { kind: local, id: a, torrc: ['DataDirectory /x', 'Bridge obfs4 zq7planted'] }\n",
    'cbtor.yaml:1:15: tor.torrc: SafeLogging may not be "0": it names targets in the log',
    'cbtor.yaml:3:34: workers.0.torrc: DataDirectory may not be "/x": it is set by this program',
  ],
  [
    'hosts: &a [*a]\n',
    'cbtor.yaml:1:12: hosts.0: expected a host name, such as cbtor.lan or cbtor.lan:443, not a list',
  ],
  ['__proto__: { x: 1 }\n', 'cbtor.yaml:1:1: __proto__: there is no such field'],
  ['<<: { log: info }\n', 'cbtor.yaml:1:1: <<: there is no such field'],
  [
    'base: &b { check_interval: 5 }\nhealth: *b\n',
    'cbtor.yaml:2:9: health.check_interval: expected a duration with its unit, such as 250ms, 10s or 15m, not 5',
    'cbtor.yaml:1:1: base: there is no such field',
  ],
]

it('a file that is a pipe or a device is not read, which would never end', { timeout: 20_000 }, () => {
  const pipe = join(directory, 'pipe')
  execFileSync('mkfifo', [pipe])
  for (const odd of [pipe, '/dev/zero', directory])
    assert.throws(
      () => loadConfig({ config: odd }, { HOME: '/home/me' }),
      (error) => error instanceof ConfigError && error.faults.join() === `${odd}: cannot be read: it is no file`,
    )
})

it('a file without a name is told by who gives none', () => {
  const { faults } = loadFaults({}, { CBTOR_CONFIG: '' })
  assert.deepEqual(faults, ['CBTOR_CONFIG: expected the path of a file, not ""'])
  assert.deepEqual(loadFaults({ config: '' }, {}).faults, ['--config: expected the path of a file, not ""'])
})

it('times that are too short or too long for a timer are faults, since it would fire without end', () => {
  for (const field of ['check_interval', 'check_timeout', 'reboot_wait', 'warm_up_interval', 'rotation_interval'])
    for (const value of ['0s', '30d'])
      assert.match(faultsOf(`health: { ${field}: ${value} }`).join(), /expected a duration from 1s to \d+[mhd], not/)
  assert.match(
    faultsOf('health: { recovery_backoff: [0s] }').join(),
    /health\.recovery_backoff\.0: expected a duration from/,
  )
})

describe('faults of a configuration file', () => {
  it('say where they are, what was wrong and what would be right', () => {
    for (const [text, ...faults] of WRONG) assert.deepEqual(faultsOf(text), faults, text.slice(0, 200))
  })

  it('are no more than anybody reads, and found in a moment', () => {
    const many = Array.from({ length: 20_000 }, (_, n) => `ab${n}: 1`).join('\n')
    const faults = faultsOf(many)
    assert.equal(faults.length, 101)
    assert.equal(faults.at(-1), 'there are more faults than these 100')
    assert.ok(faultsOf('log: info\n'.repeat(1_000)).length <= 100)
  })

  it('are none in a file that says nothing', () => {
    for (const text of ['', '\n', '# nothing\n', '---\n', '\uFEFFlog: info\n', '{}'])
      assert.deepEqual(faultsOf(text), [])
  })

  it('are of the whole file where it is too large, or no text', () => {
    assert.match(
      faultsOf(`# ${'x'.repeat(2 ** 20)}`).join(),
      /cannot be read: it has 1048578 bytes, and may have 1048576/,
    )
    assert.match(faultsOf(Buffer.from([0x6c, 0xff, 0xfe])).join(), /cannot be read: it is not text in UTF-8/)
  })

  it('name the variable or flag instead of a line', () => {
    assert.deepEqual(
      faultsOf(
        'listen: nowhere\n',
        { CBTOR_LIMITS_RATE: 'fast', CBTOR_LISTN: 'x', CBTOR_WORKERS: 'x', CBTOR_HEALTH: 'x', CBTOR_PORT: '1' },
        { mode: 'stiky' },
      ),
      [
        'CBTOR_LISTN: not a variable that is read; did you mean CBTOR_LISTEN?',
        'CBTOR_WORKERS: workers is a list, which only the file can say',
        'CBTOR_HEALTH: health has fields, each with a variable of its own, such as CBTOR_HEALTH_CHECK_INTERVAL',
        'CBTOR_PORT: not a variable that is read; a field such as health.check_interval is CBTOR_HEALTH_CHECK_INTERVAL',
        'cbtor.yaml:1:9: listen: expected HOST:PORT, such as 127.0.0.1:32211, or unix: and an absolute path, not "nowhere"',
        '--mode: expected round_robin, sticky, random, least_connections or failover, not "stiky"; did you mean sticky?',
        'CBTOR_LIMITS_RATE: expected a number above 0, or off, not "fast"',
      ],
    )
    assert.deepEqual(faultsOf('- 1', { CBTOR_LOG: 'loud' }).length, 2)
  })

  it('are never an error of another kind, whatever the file', () => {
    fc.assert(
      fc.property(
        fc.oneof(
          fc.string({ unit: 'binary' }),
          fc.json().map((text) => `health: ${text}`),
        ),
        (text) => {
          for (const fault of faultsOf(text)) assert.ok(fault.length > 10 && !fault.includes('\n    at '), fault)
        },
      ),
      { numRuns: 300 },
    )
  })
})

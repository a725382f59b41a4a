import assert from 'node:assert/strict'
import { execFile, spawnSync } from 'node:child_process'
import { mkdtemp, rm, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { describe, it } from 'node:test'
import { promisify } from 'node:util'
import fc from 'fast-check'
import { torDirectory } from '../tor-directory.ts'
import { quote, unquote } from './quote.ts'
import { TorrcError, type TorrcOptions, torrc } from './torrc.ts'
import { workerTorrc } from './worker-torrc.ts'

const NO_TOR = spawnSync('tor', ['--version']).status === 0 ? false : 'tor is not installed'
const plain: TorrcOptions = { dataDirectory: '/d', socksPorts: [], confluxEnabled: false }

describe('workerTorrc()', () => {
  it('isolates by SOCKS user name, keeps exits, and listens on unix sockets alone', () => {
    const text = workerTorrc({ directory: torDirectory('/run/t1'), owner: 42, extra: ['DisableNetwork 1'] })
    assert.deepEqual(text.split('\n'), [
      'DataDirectory /run/t1/data',
      'SocksPort unix:/run/t1/socks IsolateSOCKSAuth KeepAliveIsolateSOCKSAuth ExtendedErrors',
      'ControlPort unix:/run/t1/control',
      'CookieAuthentication 1',
      'CookieAuthFile /run/t1/cookie',
      '__OwningControllerProcess 42',
      'ConfluxEnabled 0',
      'DormantCanceledByStartup 1',
      'SafeLogging 1',
      'ClientRejectInternalAddresses 1',
      'ClientDNSRejectInternalAddresses 1',
      'Log notice stdout',
      'DisableNetwork 1',
      '',
    ])
  })
})

describe('torrc()', () => {
  it('opens no SOCKS port unless told to', () => {
    assert.match(torrc(plain), /^SocksPort 0$/m)
  })

  it('writes loopback ports, and others with a policy that ends by refusing', () => {
    const socksPorts = (host: string) => [{ listen: { host, port: 9050 }, flags: ['IsolateDestAddr'] }] as const
    assert.match(
      torrc({ ...plain, socksPorts: socksPorts('127.0.0.1') }),
      /^SocksPort 127\.0\.0\.1:9050 IsolateDestAddr$/m,
    )
    assert.match(torrc({ ...plain, socksPorts: socksPorts('::1') }), /^SocksPort \[::1\]:9050/m)
    const open = { ...plain, socksPorts: socksPorts('10.66.0.2') }
    assert.match(faults(open)[0] ?? '', /10\.66\.0\.2, where others can reach it, and needs a SocksPolicy/)
    assert.match(faults({ ...open, socksPolicy: ['accept 10.66.0.1'] })[0] ?? '', /needs a SocksPolicy/)
    assert.match(torrc({ ...open, socksPolicy: ['accept 10.66.0.1', 'reject *'] }), /^SocksPolicy reject \*$/m)
  })

  it('reports all faults at once, a sentence each', () => {
    const found = faults({
      dataDirectory: 'relative',
      socksPorts: [{ listen: { path: `/${'p'.repeat(107)}` }, flags: [] }],
      confluxEnabled: true,
      controlSocket: '/a\nControlPort 9051',
      owningControllerProcess: 0,
      maxCircuitDirtiness: 9,
      extra: ['SafeLogging 0', 'UseEntryGuards 0'],
    })
    assert.equal(found.length, 7)
    assert.match(found.join('\n'), /108 bytes, and a unix socket's may have 107/)
  })
})

describe('lines of the operator', () => {
  for (const line of [
    'DirAuthority a orport=1 no-v2 v3ident=0123456789012345678901234567890123456789 127.0.0.1:7 0123456789012345678901234567890123456789',
    'TestingTorNetwork 1',
    'ExitNodes {de},{nl},$0123456789012345678901234567890123456789',
    'SocksPort 127.0.0.1:9050 IsolateDestAddr SessionGroup=3',
    'SocksPort unix:"/tmp/a b" ExtendedErrors',
    'SocksPort auto',
    'SocksPort [::1]:9050',
    'DNSPort 0',
    'ControlPort 127.0.0.1:9051',
    'UseEntryGuards 1 # the default',
    'useentryguards\t1',
    'ContactInfo "a # b"',
    'HashedControlPassword 16:00',
  ])
    it(`may be ${line}`, () => {
      assert.match(
        torrc({ ...plain, cookieAuthFile: '/cookie', extra: [line] }),
        new RegExp(`^${line.split(/\s/)[0]} `, 'm'),
      )
    })

  it('leaves out comments and blank lines', () => {
    assert.equal(torrc({ ...plain, extra: ['', '  ', '# ExitNodes us'] }), torrc(plain))
  })

  for (const [line, why] of [
    ['SocksPort 9050 IsolateDestAddrs', /flag "IsolateDestAddrs", which is unknown/],
    ['SocksPort 9050 NoIsolateSOCKSAuth', /unsafe/],
    ['SocksPort 9050 PreferSOCKSNoAuth', /unsafe/],
    ['SocksPort 0.0.0.0:9050', /needs a SocksPolicy/],
    ['SocksPort [::]:9050', /needs a SocksPolicy/],
    ['SocksPort localhost:9050', /not an IP address/],
    ['SocksPort 99999', /no valid port/],
    ['SocksPort "0.0.0.0:9050"', /needs a SocksPolicy/],
    ['HTTPTunnelPort 10.0.0.1:8118', /needs a SocksPolicy/],
    ['TransPort 10.0.0.1:9040', /no way to tell who may use it/],
    ['DNSPort 0.0.0.0:53', /no way to tell who may use it/],
    ['ControlPort 0.0.0.0:9051', /full power/],
    ['ControlPort 9051', /no cookie and no password/],
    ['__ControlPort 9051', /write ControlPort/],
    ['UseEntryGuards 0', /new relay/],
    ['useentryguards 0', /new relay/],
    ['UseEntryGuards "0"', /new relay/],
    ['UseEntryGuards', /new relay/],
    ['UseEntryG 0', /write UseEntryGuards/],
    ['SafeLog 0', /write SafeLogging/],
    ['ExitNode {us}', /write ExitNodes/],
    ['SafeLogging 0', /names targets/],
    ['SafeLogging relay', /names targets/],
    ['ExitNodes us', /write \{us\}/],
    ['ExitNodes {de}, US', /write \{us\}/],
    ['DataDirectory /elsewhere', /set by this program/],
    ['controlsocket /elsewhere', /set by this program/],
    ['IsolateDestAddr 1', /flag of SocksPort/],
    ['HiddenServiceNonAnonymousMode 1', /not anonymous/],
    ['+ExitNodes {us}', /does not begin with the name of an option/],
    ['/SafeLogging', /does not begin with the name of an option/],
    ['%include /etc/tor/torrc', /does not begin with the name of an option/],
    ['ContactInfo me\\', /join the next line/],
    ['ContactInfo "me', /not properly quoted/],
    ['SafeLogging "\\060"', /not properly quoted/],
    ['ContactInfo me\nSafeLogging 0', /line break/],
    ['# \rSafeLogging 0', /line break/],
    ['ContactInfo \0', /line break/],
  ] as const)
    it(`may not be ${JSON.stringify(line)}`, () => {
      assert.match(faults({ ...plain, extra: [line] }).join('\n'), why)
    })
})

describe('quote()', () => {
  const text = fc.string({ unit: 'grapheme' }).filter((value) => !/\p{Cc}/u.test(value))

  it('is undone by unquote()', () => {
    fc.assert(fc.property(text, (value) => assert.equal(unquote(quote(value)), value)))
  })

  it('refuses what no line can hold', () => {
    for (const value of ['a\nb', 'a\rb', 'a\0b']) assert.throws(() => quote(value), RangeError)
  })
})

describe('tor itself', { skip: NO_TOR, timeout: 30_000 }, () => {
  it('takes a worker torrc whose every path has to be quoted', async (t) => {
    const path = await mkdtemp(join(tmpdir(), 't "\\#é -'))
    t.after(() => rm(path, { recursive: true }))
    const directory = torDirectory(path)
    const text = workerTorrc({
      directory,
      owner: process.pid,
      clientOnionAuthDir: path,
      extra: [
        'ExitNodes {de}',
        `SocksPort ${JSON.stringify(`unix:${JSON.stringify(join(path, 'x'))} IsolateDestAddr`)}`,
        'ContactInfo "a # b"',
      ],
    })
    await writeFile(directory.torrc, text)
    const output = await tor('--verify-config', '-f', directory.torrc)
    assert.match(output, /Configuration was valid/)
    assert.doesNotMatch(output, /Unrecognized \w+ option|abbreviation|deprecated/)

    // Tor itself writes bytes beyond ASCII in octal.
    const dump = (await tor('--dump-config', 'short', '-f', directory.torrc)).replaceAll('\\303\\251', 'é')
    const values = new Map(dump.split('\n').map((line) => [line.split(' ', 1)[0], line.slice(line.indexOf(' ') + 1)]))
    assert.equal(unquote(values.get('DataDirectory') ?? ''), directory.data)
    assert.equal(unquote(values.get('ControlPort') ?? ''), `unix:${JSON.stringify(directory.controlSocket)}`)
    assert.equal(values.get('ContactInfo'), '"a # b"')
  })
})

async function tor(...args: string[]): Promise<string> {
  return (await promisify(execFile)('tor', ['--defaults-torrc', '/dev/null', ...args])).stdout
}

function faults(options: TorrcOptions): readonly string[] {
  try {
    torrc(options)
  } catch (error) {
    if (error instanceof TorrcError) return error.faults
    throw error
  }
  return []
}

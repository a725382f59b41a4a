import assert from 'node:assert/strict'
import { type ChildProcess, spawn, spawnSync } from 'node:child_process'
import { once } from 'node:events'
import { mkdtemp, rm, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { createInterface } from 'node:readline'
import { after, before, describe, it, type TestContext } from 'node:test'
import { abortable } from '../../lib/abort.ts'
import { TorControl } from './client.ts'
import { ControlConnection } from './connection.ts'
import { AuthenticationError, ControlReplyError } from './errors.ts'
import { FakeTor } from './fake-tor.ts'

const hasTor = spawnSync('tor', ['--version']).status === 0

describe('TorControl over a scripted Tor', { timeout: 10_000 }, () => {
  const answers: Record<string, string> = {
    'PROTOCOLINFO 1': '250-AUTH METHODS=NULL\r\n250-VERSION Tor="0.4.9.11"\r\n250 OK\r\n',
    AUTHENTICATE: '250 OK\r\n',
    'GETINFO circuit-status': '250+circuit-status=\r\n1 BUILT PURPOSE=GENERAL\r\n2 EXTENDED\r\n.\r\n250 OK\r\n',
    'GETINFO stream-status': '250-stream-status=5 SUCCEEDED 1 example.test:80\r\n250 OK\r\n',
    'GETINFO orconn-status': `250-orconn-status=$${'A'.repeat(40)}~a CONNECTED\r\n250 OK\r\n`,
    'GETINFO entry-guards': `250-entry-guards=$${'A'.repeat(40)}~a unlisted 2026-01-02 03:04:05\r\n250 OK\r\n`,
    'GETINFO status/bootstrap-phase':
      '250-status/bootstrap-phase=NOTICE BOOTSTRAP PROGRESS=100 TAG=done SUMMARY="Done"\r\n250 OK\r\n',
    'GETINFO net/listeners/socks': '250-net/listeners/socks="127.0.0.1:9050" "unix:/run/tor/socks"\r\n250 OK\r\n',
    'GETINFO ns/id/B': '552 Unrecognized key "ns/id/B"\r\n',
    'GETINFO ns/id/C':
      '250+ns/id/C=\r\nr c q6urq6urq6urq6urq6urq6urq6s 2038-01-01 00:00:00 203.0.113.7 9001 0\r\ns Exit\r\n.\r\n250 OK\r\n',
    'GETINFO md/id/A md/id/B': '552 Unrecognized key "md/id/B"\r\n',
    'GETINFO md/id/A': '250+md/id/A=\r\np accept 80\r\n.\r\n250 OK\r\n',
    'GETINFO md/id/B': '552 Unrecognized key "md/id/B"\r\n',
    'GETINFO ip-to-country/ipv4-available': '250-ip-to-country/ipv4-available=1\r\n250 OK\r\n',
    'GETINFO ip-to-country/203.0.113.7 ip-to-country/203.0.113.8':
      '250-ip-to-country/203.0.113.7=de\r\n250-ip-to-country/203.0.113.8=??\r\n250 OK\r\n',
  }

  async function open(t: TestContext): Promise<{ control: TorControl; tor: FakeTor }> {
    const tor = new FakeTor((line) => answers[line] ?? `510 Unrecognized command ${line}\r\n`)
    const control = await TorControl.over(tor.stream, { method: 'owned-socket' }, {}, t.signal)
    t.after(() => control[Symbol.asyncDispose]())
    return { control, tor }
  }

  it('reads the state of Tor into values', async (t: TestContext) => {
    const { control } = await open(t)
    const relay = { fingerprint: 'A'.repeat(40), nickname: 'a' }
    assert.equal(control.torVersion, '0.4.9.11')
    assert.deepEqual(
      (await control.circuits(t.signal)).map(({ id, status, purpose }) => [id, status, purpose]),
      [
        ['1', 'BUILT', 'GENERAL'],
        ['2', 'EXTENDED', undefined],
      ],
    )
    assert.deepEqual((await control.streams(t.signal))[0]?.target, { host: 'example.test', port: 80 })
    assert.deepEqual((await control.orConnections(t.signal))[0]?.relay, relay)
    assert.deepEqual(await control.guards(t.signal), [{ relay, status: 'unlisted', since: '2026-01-02 03:04:05' }])
    assert.equal((await control.bootstrap(t.signal)).summary, 'Done')
    assert.deepEqual(await control.listeners('socks', t.signal), ['127.0.0.1:9050', 'unix:/run/tor/socks'])
    assert.equal(await control.relay('B', t.signal), undefined)
    assert.equal((await control.relay('C', t.signal))?.fingerprint, 'AB'.repeat(20))
  })

  it('reads what is known of exits, and where they are', async (t: TestContext) => {
    const { control } = await open(t)
    const descriptors = await control.microdescriptors(['A', 'B'], t.signal)
    assert.deepEqual([...descriptors.keys()], ['A'])
    assert.equal(descriptors.get('A')?.exitPorts.accepts(80), true)
    const addresses = ['203.0.113.7', '203.0.113.8', '203.0.113.7']
    assert.deepEqual([...((await control.countries(addresses, t.signal)) ?? [])], [['203.0.113.7', 'de']])
    answers['GETINFO ip-to-country/ipv4-available'] = '250-ip-to-country/ipv4-available=0\r\n250 OK\r\n'
    assert.equal(await control.countries(addresses, t.signal), undefined)
  })

  it('tells the events of one type to those who asked for them', async (t: TestContext) => {
    const { control, tor } = await open(t)
    const heard: string[] = []
    control.on('CIRC', (event) => heard.push(`circuit ${event.id} ${event.status}`))
    control.on('STREAM', (event) => heard.push(`stream ${event.id}`))
    tor.send('650 CIRC 7 BUILT\r\n650 SIGNAL NEWNYM\r\n650 CIRC 7 CLOSED\r\n')
    await control.bootstrap(t.signal)
    assert.deepEqual(heard, ['circuit 7 BUILT', 'circuit 7 CLOSED'])
  })

  it('does not wait for new circuits where it would not hear of them', async (t: TestContext) => {
    const { control } = await open(t)
    await assert.rejects(control.newCircuits(t.signal), /not subscribed to SIGNAL/)
  })
})

describe('TorControl over a real Tor', { timeout: 30_000, skip: hasTor ? false : 'there is no tor here' }, () => {
  let directory: string
  let tor: ChildProcess

  before(async () => {
    directory = await mkdtemp(join(tmpdir(), 'cbtor-'))
    const torrc = [
      `DataDirectory ${directory}/data`,
      `ControlSocket ${directory}/control`,
      'CookieAuthentication 1',
      'DisableNetwork 1',
      // Ends Tor even if this process is killed.
      `__OwningControllerProcess ${process.pid}`,
      // Without a client port Tor ignores NEWNYM.
      `SocksPort unix:${directory}/socks`,
      'Log notice stdout',
    ]
    await writeFile(`${directory}/torrc`, torrc.join('\n'))
    tor = spawn(
      'tor',
      ['--defaults-torrc', `${directory}/none`, '--ignore-missing-torrc', '-f', `${directory}/torrc`],
      {
        stdio: ['ignore', 'pipe', 'ignore'],
      },
    )
    assert.ok(tor.stdout)
    for await (const line of createInterface(tor.stdout)) {
      if (line.includes('Opened Control listener')) break
    }
    tor.stdout.resume()
  })

  after(async () => {
    try {
      if (tor.exitCode === null && tor.signalCode === null && tor.kill('SIGKILL')) await once(tor, 'exit')
    } finally {
      await rm(directory, { recursive: true, force: true })
    }
  })

  function open(t: TestContext): Promise<TorControl> {
    const credentials = { method: 'cookie-file', path: `${directory}/data/control_auth_cookie` } as const
    return TorControl.open(`${directory}/control`, credentials, {}, t.signal)
  }

  it('proves itself and reads the state', async (t: TestContext) => {
    await using control = await open(t)
    assert.match(control.torVersion, /^0\.\d+\.\d+/)
    const info = await control.getInfo(['version', 'config-file', 'config-text'], t.signal)
    assert.ok(info.version.startsWith(control.torVersion))
    assert.equal(info['config-file'], `${directory}/torrc`)
    assert.ok(info['config-text'].split('\n').includes('DisableNetwork 1'))
    assert.deepEqual(await control.listeners('control', t.signal), [`unix:${directory}/control`])
    assert.equal((await control.bootstrap(t.signal)).progress, 0)
    assert.deepEqual(await control.circuits(t.signal), [])
    assert.deepEqual(await control.streams(t.signal), [])
    assert.deepEqual(await control.guards(t.signal), [])
    assert.deepEqual(await control.orConnections(t.signal), [])
    assert.equal(await control.relay('A'.repeat(40), t.signal), undefined)
    assert.deepEqual(await control.relays(t.signal), [])
    assert.deepEqual(await control.viewOnionClientAuth(t.signal), [])
  })

  it('changes the configuration, and hears of it', async (t: TestContext) => {
    await using control = await open(t)
    await control.subscribe(['CONF_CHANGED'], t.signal)
    const changed = Promise.withResolvers<string[]>()
    control.on('other', (event) => changed.resolve(event.lines.map((line) => line.text)))
    await control.setConf(
      [
        ['MaxCircuitDirtiness', '700'],
        ['ContactInfo', 'a "b" \\c'],
      ],
      t.signal,
    )
    const values = await control.getConf(['maxcircuitdirtiness', 'ContactInfo', 'ExitNodes'], t.signal)
    assert.deepEqual(values.get('MaxCircuitDirtiness'), ['700'])
    assert.deepEqual(values.get('ContactInfo'), ['a "b" \\c'])
    assert.deepEqual(values.get('ExitNodes'), [])
    assert.ok((await abortable(changed.promise, t.signal)).includes('MaxCircuitDirtiness=700'))
    await control.resetConf(['MaxCircuitDirtiness', 'ContactInfo'], t.signal)
    assert.deepEqual((await control.getConf(['MaxCircuitDirtiness'], t.signal)).get('MaxCircuitDirtiness'), ['600'])
  })

  it('maps addresses with a mixed reply', async (t: TestContext) => {
    await using control = await open(t)
    const [bad, good] = await control.mapAddress(
      [
        { from: 'xxx', to: '@@@' },
        { from: '0.0.0.0', to: 'bogus1.example' },
      ],
      t.signal,
    )
    assert.ok(bad?.isMapped === false)
    assert.equal(bad.code, 512)
    assert.ok(good?.isMapped)
    assert.equal(good.to, 'bogus1.example')
  })

  it('is refused what does not exist, each with its code, and goes on', async (t: TestContext) => {
    await using control = await open(t)
    const codes = await Promise.all(
      [
        control.getInfo(['nope'], t.signal),
        control.getConf(['Nope'], t.signal),
        control.setConf([['Nope', '1']], t.signal),
        control.setConf([['MaxCircuitDirtiness', 'soon']], t.signal),
        control.closeStream('99', t.signal),
        control.closeCircuit('99', {}, t.signal),
        control.attachStream('98', '99', t.signal),
        control.extendCircuit({ path: ['A'.repeat(40)] }, t.signal),
        control.extendCircuit({}, t.signal),
        control.addOnionClientAuth({ address: 'abc', privateKey: 'x' }, t.signal),
      ].map((refused) => refused.then(() => 'done', codeOf)),
    )
    assert.deepEqual(codes, [552, 552, 552, 513, 552, 552, 552, 552, 551, 512])
    assert.equal(control.closedBy, undefined)
  })

  it('subscribes to what this Tor has, and waits for its new circuits', async (t: TestContext) => {
    await using control = await open(t)
    assert.deepEqual(await control.subscribe(['SIGNAL', 'NO_SUCH_EVENT', 'CIRC'], t.signal), {
      subscribed: ['SIGNAL', 'CIRC'],
      missing: ['NO_SUCH_EVENT'],
    })
    await control.newCircuits(t.signal)
  })

  it('tells nothing to a Tor that does not know our cookie', async (t: TestContext) => {
    const credentials = { method: 'cookie', cookie: Buffer.alloc(32) } as const
    await assert.rejects(TorControl.open(`${directory}/control`, credentials, {}, t.signal), AuthenticationError)
  })

  it('is cut off after a wrong proof, and before any', async (t: TestContext) => {
    for (const [line, code] of [
      [`AUTHENTICATE ${'00'.repeat(32)}`, 515],
      ['GETINFO version', 514],
    ] as const) {
      await using connection = await ControlConnection.open(`${directory}/control`, {}, t.signal)
      const closed = Promise.withResolvers<unknown>()
      connection.onClose(closed.resolve)
      const reply = await connection.send(line, t.signal)
      assert.equal(reply.lines[0]?.code, code)
      await abortable(closed.promise, t.signal)
    }
  })

  it('shuts Tor down', async (t: TestContext) => {
    await using control = await open(t)
    const closed = Promise.withResolvers<unknown>()
    control.onClose(closed.resolve)
    const exited = once(tor, 'exit', { signal: t.signal })
    await control.signal('SHUTDOWN', t.signal)
    await abortable(closed.promise, t.signal)
    assert.deepEqual(await exited, [0, null])
  })
})

function codeOf(error: unknown): unknown {
  return error instanceof ControlReplyError ? error.code : error
}

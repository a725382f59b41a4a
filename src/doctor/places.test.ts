/** What the doctor makes of files, sockets, names and boxes. */
import assert from 'node:assert/strict'
import { once } from 'node:events'
import { chmodSync, mkdirSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs'
import { createServer } from 'node:net'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { describe, it } from 'node:test'
import { parseConfig } from '../config/read-config.ts'
import { testBox } from '../tunnel/test-spec.ts'
import { checkBoxFiles, checkTunnels, findBoxes } from './boxes.ts'
import { checkConfiguration } from './configuration.ts'
import { configuredPorts } from './doctor.ts'
import type { Finding } from './finding.ts'
import { lookAtState, runProgram } from './machine.ts'
import { checkNames } from './names.ts'
import { judgeOwnListeners } from './own-listeners.ts'
import { processAt } from './service-process.ts'
import { type OpenSocket, parseSocketTable } from './sockets.ts'
import { judgeState } from './state-files.ts'

const never = new AbortController().signal

describe('a state directory', () => {
  const uid = process.getuid?.() ?? 0
  const judge = async (directory: string, owner: number | undefined = uid) =>
    judgeState(await lookAtState(directory), owner)

  it('is right when nobody else may get in, and may be missing', async () => {
    using state = temporaryState()
    assert.deepEqual(show(await judge(state.path)), ['ok state directory'])
    assert.match((await judge(join(state.path, 'nothing')))[0]?.text ?? '', /not there yet/)
    assert.deepEqual(show(await judge(join(state.path, 'cbtor.db'))), ['wrong state directory'])
  })

  it('is wrong when it is open, and so is every secret in it that is', async () => {
    using state = temporaryState()
    chmodSync(state.path, 0o755)
    for (const name of [
      'cbtor.db',
      'jobs.db-wal',
      'admin.key',
      'pool-secret',
      'boxes/tor02.json',
      'workers/tor01/cookie',
      'ssh/id_ed25519',
    ])
      chmodSync(join(state.path, name), 0o644)
    chmodSync(join(state.path, 'workers/tor01'), 0o750)
    const found = await judge(state.path)
    assert.deepEqual(show(found), ['wrong state directory', 'wrong secrets', 'wrong secrets'])
    assert.match(found[0]?.mend ?? '', /^chmod 700 /)
    assert.match(
      found[1]?.text ?? '',
      /admin\.key, boxes\/tor02\.json, cbtor\.db, jobs\.db-wal, pool-secret and 2 more/,
    )
    assert.match(found[2]?.text ?? '', /sockets in workers\/tor01/)
  })

  it('is wrong when it is of another user', async () => {
    using state = temporaryState()
    const [finding] = await judge(state.path, uid + 1)
    assert.match(finding?.text ?? '', new RegExp(`and \\d+ more are of another user than ${uid + 1}`))
    assert.equal(finding?.verdict, 'wrong')
  })

  it('is not judged when it cannot be seen', () => {
    const unreadable = ["EACCES: permission denied, lstat '/s'"]
    assert.deepEqual(show(judgeState({ directory: '/s', files: [], unreadable }, 1)), ['unchecked state directory'])
  })
})

describe('sockets of a process', () => {
  it('are read from proc(5)', () => {
    const table = `  sl  local_address rem_address   st tx_queue rx_queue tr tm->when retrnsmt   uid  timeout inode
   0: 0100007F:7DD3 00000000:0000 0A 00000000:00000000 00:00000000 00000000  1000        0 111 1 0000000000000000 100 0 0 10 0
   1: 00000000:0016 00000000:0000 0A 00000000:00000000 00:00000000 00000000     0        0 112 1 0000000000000000 100 0 0 10 0
   2: 0100007F:7DD3 0100007F:C350 01 00000000:00000000 00:00000000 00000000  1000        0 113 1 0000000000000000 20 4 30 10 -1
   3: 00000000000000000000000001000000:1F90 00000000000000000000000000000000:0000 0A 00000000:00000000 00:00000000 00000000 0 0 114 1
   4: B80D0120000000000000000001000000:1F90 00000000000000000000000000000000:0000 0A 00000000:00000000 00:00000000 00000000 0 0 115 1
   5: 0000000000000000FFFF00000100007F:1F90 00000000000000000000000000000000:0000 0A 00000000:00000000 00:00000000 00000000 0 0 116 1
nonsense`
    assert.deepEqual(
      parseSocketTable('tcp', table).map(({ host, port, inode }) => `${host} ${port} ${inode}`),
      ['127.0.0.1 32211 111', '0.0.0.0 22 112', '::1 8080 114', '2001:db8::1 8080 115', '127.0.0.1 8080 116'],
    )
  })

  it('are found by a port that one of them listens on', async () => {
    const servers = [createServer().listen(0, '127.0.0.1'), createServer().listen(0, '127.0.0.1')]
    await Promise.all(servers.map((server) => once(server, 'listening')))
    const [port, other] = servers.map((server) => (server.address() as { port: number }).port)
    const found = await processAt(port ?? 0)
    assert.equal(found?.pid, process.pid)
    assert.equal(found?.uid, process.getuid?.())
    const listening = found?.sockets.map((socket) => socket.port) ?? []
    assert.ok(listening.includes(port ?? 0) && listening.includes(other ?? 0))
    const closed = servers.map((server) => once(server.close(), 'close'))
    await Promise.all(closed)
    assert.equal(await processAt(port ?? 0), undefined)
  })
})

describe('listeners of the service', () => {
  const configured = [
    { field: 'listen', host: '127.0.0.1', port: 32211, asksKey: false, tls: 'none' },
    { field: 'proxy.http', host: '0.0.0.0', port: 8118, asksKey: true, tls: 'own' },
    { field: 'proxy.socks', host: '0.0.0.0', port: 1080, asksKey: false, tls: 'own' },
    { field: 'proxy.both', host: '0.0.0.0', port: 1081, asksKey: true, tls: 'offloaded' },
    { field: 'proxy.both', host: '0.0.0.0', port: 1082, asksKey: true, tls: 'none' },
  ] as const
  const judge = (host: string, port: number, protocol: OpenSocket['protocol'] = 'tcp') =>
    judgeOwnListeners('listeners', [{ protocol, host, port, inode: 1 }], configured)

  it('are those that the configuration says', () => {
    assert.deepEqual(show(judge('127.0.0.1', 32211)), ['ok listeners'])
    assert.match(judge('127.0.0.1', 9229)[0]?.text ?? '', /listens on tcp 127\.0\.0\.1:9229, which .* not say/)
    assert.deepEqual(show(judge('0.0.0.0', 32211)), ['wrong listeners'])
    assert.deepEqual(show(judge('0.0.0.0', 5353, 'udp')), ['wrong listeners'])
  })

  it('may be the worker port of one of several gateways, which others reach by TLS', () => {
    const document = { store: 'redis://127.0.0.1', cluster: { worker_port: '10.0.0.11:32212' } }
    const socket = { protocol: 'tcp', host: '10.0.0.11', port: 32_212, inode: 1 } as const
    const judged = (more: object) => judgeOwnListeners('listeners', [socket], configuredPorts(parseConfig(more, {})))
    assert.deepEqual(show(judged(document)), ['ok listeners'])
    assert.deepEqual(show(judged({ ...document, store: 'embedded' })), ['wrong listeners'])
  })

  it('that others can reach have to ask for a key, and not in the clear', () => {
    assert.deepEqual(show(judge('0.0.0.0', 8118)), ['ok listeners'])
    const cases = [
      [1080, 'wrong', /asks for no key/],
      [1081, 'warning', /in the clear, although something else is to do TLS/],
      [1082, 'wrong', /keys cross the network in the clear/],
    ] as const
    for (const [port, verdict, text] of cases) {
      const [finding] = judge('0.0.0.0', port)
      assert.equal(finding?.verdict, verdict)
      assert.match(finding.text, text)
    }
  })

  it('may be on a name or on any free port', () => {
    const anywhere = [{ field: 'listen', host: 'localhost', port: 0, asksKey: false, tls: 'none' }] as const
    const socket = { protocol: 'tcp', host: '127.0.0.1', port: 40_000, inode: 1 } as const
    assert.deepEqual(show(judgeOwnListeners('listeners', [socket], anywhere)), ['ok listeners'])
    assert.deepEqual(show(judgeOwnListeners('listeners', [], anywhere)), ['ok listeners'])
  })
})

describe('names', () => {
  const listens = [{ field: 'listen', host: '127.0.0.1' }]

  it('of boxes and listeners are the only ones that are resolved', () => {
    assert.deepEqual(show([checkNames({ listens, boxes: [testBox()] })]), ['ok DNS'])
    const box = testBox({ boxEndpoint: 'home.example:51820' })
    const byName = { ...box, ssh: { ...box.ssh, host: 'box.lan' } }
    const { verdict, text } = checkNames({ listens: [{ field: 'listen', host: 'gateway' }], boxes: [byName] })
    assert.equal(verdict, 'warning')
    assert.match(text, /gateway \(listen\), box\.lan \(SSH of tor01\), home\.example \(tunnel to tor01\)/)
  })
})

describe('a configuration', () => {
  const check = (document: object) => checkConfiguration(parseConfig(document, { HOME: '/home/me' }))

  it('is right when the service can start with it', () => {
    assert.match(check({})[0]?.text ?? '', /tor01 \(local\)/)
  })

  it('is told what the service would only notice when it starts', () => {
    using state = temporaryState()
    const password = join(state.path, 'password')
    writeFileSync(password, 'secret', { mode: 0o644 })
    const external = { kind: 'external', id: 'theirs', socks: '127.0.0.1:9050', control: '127.0.0.1:9051' }
    for (const [document, text] of [
      [{ targets: { ca_file: '/nowhere.pem' } }, /no such file/],
      [{ targets: { ca_file: password } }, /holds no certificate/],
      [{ state: `/${'s'.repeat(100)}` }, /too long for unix sockets/],
      [{ workers: [{ ...external, cookie_file: '/nowhere' }] }, /no such file/],
      [{ workers: [{ ...external, password_file: password }] }, /everybody may read/],
      [{ state: state.path, workers: [{ kind: 'openwrt', id: 'tor09' }] }, /No box tor09 is installed/],
    ] as const) {
      const [{ verdict, text: seen } = assert.fail()] = check(document)
      assert.equal(verdict, 'wrong', JSON.stringify(document))
      assert.match(seen, text)
    }
    chmodSync(password, 0o640)
    assert.equal(check({ workers: [{ ...external, password_file: password }] })[0]?.verdict, 'warning')
  })
})

describe('boxes', () => {
  const config = parseConfig({ workers: [{ kind: 'openwrt', id: 'tor01' }] }, { HOME: '/home/me' })

  it('have files that can be read, and workers', () => {
    using state = temporaryState()
    assert.match(findBoxes(state.path).faults[0]?.text ?? '', /tor02\.json: it is not JSON/)
    assert.deepEqual(findBoxes(join(state.path, 'ssh')), { boxes: [], faults: [] })
    assert.deepEqual(show(checkBoxFiles([testBox()], config)), ['ok boxes'])
    assert.deepEqual(show(checkBoxFiles([testBox({}, 'tor02')], config)), ['warning boxes'])
    assert.deepEqual(checkBoxFiles([], config), [])
  })

  it('have tunnels, whose problems are told', async () => {
    const status = { isUp: true, handshakeAgeMs: 4_000, rxBytes: 1, txBytes: 1, problems: [] as string[] }
    const rest = { killSwitch: true, defaultRoute: true, rule: true, lock: true }
    const check = (problems: string[]) =>
      checkTunnels([testBox()], async () => ({ status: async () => ({ ...status, ...rest, problems }) }), never)
    assert.match((await check([]))[0]?.text ?? '', /wg-tor01 is up; the box answered 4 s ago/)
    assert.deepEqual(show(await check(['The kill switch is missing'])), ['wrong tor01: tunnel'])
    const refused = await checkTunnels([testBox()], () => Promise.reject(new Error('Cannot work on tunnels')), never)
    assert.deepEqual(show(refused), ['unchecked tunnels'])
    const deaf = { status: () => Promise.reject(new Error('no answer')) }
    assert.deepEqual(show(await checkTunnels([testBox()], async () => deaf, never)), ['unchecked tor01: tunnel'])
  })
})

describe('a program', () => {
  it('is run without a shell', async () => {
    assert.equal(await runProgram(['echo', '$HOME;'], never), '$HOME;\n')
    await assert.rejects(runProgram(['cbtor-no-such-program'], never), /ENOENT/)
  })
})

function temporaryState(): Disposable & { readonly path: string } {
  const path = mkdtempSync(join(tmpdir(), 'cbtor-doctor-'))
  for (const folder of ['boxes', 'ssh', 'workers', 'workers/tor01']) mkdirSync(join(path, folder), { mode: 0o700 })
  for (const file of [
    'cbtor.db',
    'jobs.db-wal',
    'admin.key',
    'pool-secret',
    'boxes/tor02.json',
    'ssh/id_ed25519',
    'workers/tor01/cookie',
  ])
    writeFileSync(join(path, file), 'x', { mode: 0o600 })
  writeFileSync(join(path, 'ssh/id_ed25519.pub'), 'x', { mode: 0o644 })
  return { path, [Symbol.dispose]: () => rmSync(path, { recursive: true }) }
}

function show(findings: readonly Finding[]): readonly string[] {
  return findings.map(({ name, verdict }) => `${verdict} ${name}`)
}

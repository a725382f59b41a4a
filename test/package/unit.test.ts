import assert from 'node:assert/strict'
import { type ChildProcess, spawn } from 'node:child_process'
import { once } from 'node:events'
import {
  chmodSync,
  chownSync,
  existsSync,
  mkdirSync,
  mkdtempSync,
  readdirSync,
  readFileSync,
  rmSync,
  writeFileSync,
} from 'node:fs'
import { connect } from 'node:net'
import { join, relative, resolve } from 'node:path'
import { after, afterEach, before, describe, it } from 'node:test'
import { createApiClient } from '../../src/client/client.ts'
import { TorNetwork } from '../../src/testnet/network.ts'
import { eventually } from '../asking.ts'

const ROOT = resolve(import.meta.dirname, '../..')
/** Nobody's. */
const UID = 64_998
const PYTHON = '/usr/bin/python3'
/** As systemd does: a socket for datagrams, which anybody may write to. What comes is printed, a message a line. */
const RECEIVER = `
import array, os, socket, sys
receiver = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)
receiver.bind(sys.argv[1])
os.chmod(sys.argv[1], 0o777)
while True:
    data, ancillary, _, _ = receiver.recvmsg(4096, socket.CMSG_SPACE(64))
    for _, _, files in ancillary:
        # A barrier: the sender waits until it is closed.
        for file in array.array("i", files): os.close(file)
    if data != b"BARRIER=1": print(data.decode().replace("\\n", " "), flush=True)
`

describe('the service under its unit', { timeout: 300_000 }, () => {
  const base = mkdtempSync('/run/cbtor-unit-')
  const state = join(base, 'state')
  const api = createApiClient({ baseUrl: `unix:${join(state, 'api.sock')}` })
  const told: string[] = []
  let network: TorNetwork
  let receiver: ChildProcess
  let service: ChildProcess

  before(async () => {
    chmodSync(base, 0o755)
    mkdirSync(state)
    chownSync(state, UID, UID)
    network = await TorNetwork.create()
    assert.equal(network.isolation, 'namespace', network.lost.join('; '))
    // Its directory is to be seen at /mnt by the service, whose /tmp is empty.
    chmodSync(network.directory, 0o755)
    const configuration = {
      ...{ state, auth: 'off', politeness: 'off', log: 'warn' },
      listen: `unix:${join(state, 'api.sock')}`,
      proxy: { http: 'off', socks: 'off' },
      workers: ['tor01', 'tor02'].map((id) => ({ kind: 'local', id })),
      tor: { torrc: network.clientTorrc().map((line) => line.replaceAll(network.directory, '/mnt')) },
      checks: { clearnet: [`${network.urls.check}/api/ip`], onion: [`${network.urls.onion}/`] },
    }
    writeFileSync(join(base, 'cbtor.yaml'), JSON.stringify(configuration))
    receiver = spawn(PYTHON, ['-c', RECEIVER, join(base, 'notify')], { stdio: ['ignore', 'pipe', 'inherit'] })
    receiver.stdout?.setEncoding('utf8').on('data', (text: string) => told.push(...text.trim().split('\n')))
    await eventually(async () => existsSync(join(base, 'notify')))
  })
  afterEach(() => {
    service?.kill('SIGKILL')
  })
  after(async () => {
    receiver?.kill('SIGKILL')
    await network?.[Symbol.asyncDispose]()
    rmSync(base, { recursive: true, force: true })
  })

  /** Resolves when systemd would have been told that it is ready, and its workers serve. */
  async function start(): Promise<void> {
    told.length = 0
    const unit = join(ROOT, 'deploy/cbtor.service')
    const places = [`${ROOT}=/opt`, `${network.directory}=/mnt`]
    const node = join('/opt', relative(ROOT, process.execPath))
    const up = [node, '--max-semi-space-size=8', '/opt/src/main.ts', 'up', '--config', join(base, 'cbtor.yaml')]
    const under = [PYTHON, join(import.meta.dirname, 'under-unit.py'), unit, base, `${UID}`, ...places, '--', ...up]
    service = spawn('nsenter', ['--target', `${network.namespacePid}`, '--net', '--', ...under], {
      stdio: ['ignore', 'ignore', 'pipe'],
      env: { PATH: '/usr/sbin:/usr/bin:/sbin:/bin', NOTIFY_SOCKET: join(base, 'notify'), WATCHDOG_USEC: '3000000' },
    })
    let errors = ''
    service.stderr?.on('data', (text) => {
      errors += text
    })
    const isReady = eventually(async () => told.some((message) => message.startsWith('READY=1 ')), 60_000)
    await Promise.race([isReady, once(service, 'exit')])
    assert.equal(service.exitCode, null, errors)
    await eventually(async () => (await api.health()).receiving_traffic === 2, 60_000)
  }

  /** Of the service and of its Tors. */
  function processes(): number[] {
    return readdirSync('/proc').flatMap((pid) => {
      try {
        return /^\d+$/.test(pid) &&
          readFileSync(`/proc/${pid}/cmdline`, 'utf8').includes(base) &&
          Number(pid) !== receiver.pid
          ? [Number(pid)]
          : []
      } catch {
        return []
      }
    })
  }

  /** A fetch that takes so long, once it has reached its site. */
  async function longFetch(ms: number): Promise<{ readonly status: Promise<number> }> {
    const path = `/delay/${ms}`
    const status = api.fetch({ url: `${network.urls.www}${path}`, timeout_ms: 120_000 }).then((answer) => answer.status)
    status.catch(() => {})
    await eventually(async () => (await network.requests()).some((request) => JSON.stringify(request).includes(path)))
    return { status }
  }

  it('works, with no more than its unit lets it do, and says that it is ready and lives', async () => {
    await start()
    assert.equal((await api.fetch({ url: `${network.urls.www}/ip` })).status, 200)
    assert.equal((await api.fetch({ url: `${network.urls.onion}/ip` })).status, 200)
    const running = processes()
    assert.equal(running.length, 3, 'the service and two Tors')
    for (const pid of running) {
      const status = readFileSync(`/proc/${pid}/status`, 'utf8')
      assert.match(status, new RegExp(`^Uid:\\t${UID}\\t${UID}\\t${UID}\\t`, 'm'))
      assert.match(status, /^CapEff:\t0{16}\n(?:.*\n)*CapBnd:\t0{16}$/m)
      assert.match(status, /^NoNewPrivs:\t1\nSeccomp:\t2$/m)
    }
    const [ready = ''] = told
    assert.match(ready, /^READY=1 STATUS=The API answers at unix:/)
    await eventually(async () => told.filter((message) => message === 'WATCHDOG=1').length >= 2)

    told.length = 0
    service.kill('SIGHUP')
    await eventually(async () => told.some((message) => message.startsWith('READY=1 ')), 30_000)
    assert.match(told.filter((message) => message !== 'WATCHDOG=1').join('\n'), /^RELOADING=1 .*\nREADY=1 /)
  })

  it('takes nothing new at the first signal, finishes what is under way, and ends well', async () => {
    await start()
    const { status } = await longFetch(3_000)
    const ended = once(service, 'exit')
    service.kill('SIGTERM')
    await eventually(async () => told.some((message) => /^STOPPING=1 EXTEND_TIMEOUT_USEC=30000000 /.test(message)))
    const [error] = await once(connect(join(state, 'api.sock')), 'error')
    assert.match(error.code, /ECONNREFUSED|ENOENT/)
    assert.equal(await status, 200)
    assert.deepEqual(await ended, [0, null])
    assert.deepEqual(processes(), [])
  })

  it('ends within two seconds at the second signal, and leaves no Tor', async () => {
    await start()
    await longFetch(60_000)
    const ended = once(service, 'exit')
    service.kill('SIGTERM')
    await eventually(async () => told.some((message) => message.startsWith('STOPPING=1')))
    assert.equal(service.exitCode, null)
    const at = performance.now()
    service.kill('SIGTERM')
    assert.deepEqual(await ended, [130, null])
    assert.ok(performance.now() - at < 2_000)
    await eventually(async () => processes().length === 0, 20_000)
  })

  it('leaves no Tor when it is killed', async () => {
    await start()
    const ended = once(service, 'exit')
    service.kill('SIGKILL')
    await ended
    await eventually(async () => processes().length === 0, 20_000)
  })
})

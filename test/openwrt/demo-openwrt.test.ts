/**
 * `cbtor demo --openwrt`, as its user has it, with real boxes on a real private Tor network. Run it as real root in an empty
 * network namespace: `unshare --net node --test test/openwrt/demo-openwrt.test.ts`. A minute and a half; needs no internet.
 */
import assert from 'node:assert/strict'
import { type ChildProcess, execFile, execFileSync, spawn } from 'node:child_process'
import { once } from 'node:events'
import { existsSync, mkdirSync, mkdtempSync, readdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs'
import { createServer } from 'node:net'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { text } from 'node:stream/consumers'
import { before, describe, it } from 'node:test'
import { promisify } from 'node:util'
import { createApiClient } from '../../src/client/client.ts'
import { eventually } from '../asking.ts'

interface DemoFile {
  readonly api: string
  readonly key_file: string
  readonly check_url: string
  readonly onion_url: string
  readonly ca_file: string
  readonly workers: readonly string[]
  readonly boxes: readonly {
    readonly worker: string
    readonly name: string
    readonly address: string
    readonly interface: string
    readonly shell: readonly string[] | null
  }[]
}

const NOBODY = 65_534

before(() => {
  execFileSync('ip', ['link', 'set', 'lo', 'up'])
})

describe('cbtor demo --openwrt', { timeout: 600_000 }, () => {
  it('shows fetches by both routes, boxes and tunnels, and leaves nothing behind', async () => {
    await using demo = startDemo(['--openwrt', '--once', '--listen', '127.0.0.1:0', '--latency', '1'])
    const { code, out, err } = await demo.end()
    assert.equal(code, 0, err)
    for (const what of ['round_robin', 'sticky', 'random', 'least_connections', 'failover', 'https', 'fresh identity'])
      assert.match(out, new RegExp(`^.*${what}.* tor0[1-4] +transparent +exit[1-4] .* 200 `, 'm'))
    for (const what of ['onion service', 'sticky session', 'sticky session, again'])
      assert.match(out, new RegExp(`^${what} +tor0[1-4] +socks .* 200 `, 'm'))
    for (const n of [1, 2, 3, 4]) {
      const row = ` +healthy +10.201.${n}.2 +══ wg-tor0${n} ══ +\\d+ s ago +10.201.${n}.1 +box${n} 192.0.2.1${n} +[A-Z]+, \\d+ s ago$`
      assert.match(out, new RegExp(`^tor0${n}${row}`, 'm'))
    }
    assert.match(err, /boxes: tor04: verification/)
    demo.assertGone()
  })

  it('is reached from outside while it is up, and goes when it is interrupted', async () => {
    await using demo = startDemo(['--openwrt', '--listen', '127.0.0.1:0', '--state', 'STATE'])
    const file = await demo.describedBy()
    assert.deepEqual(file.workers, ['tor01', 'tor02', 'tor03', 'tor04'])
    assert.deepEqual(
      file.boxes.map((box) => `${box.worker} ${box.name} ${box.address} ${box.interface}`),
      [1, 2, 3, 4].map((n) => `tor0${n} box${n} 192.0.2.1${n} wg-tor0${n}`),
    )
    const api = createApiClient({ baseUrl: file.api, key: readFileSync(file.key_file, 'utf8').trim() })
    const { status, receipt } = await api.fetch({ url: file.check_url })
    assert.deepEqual([status, receipt.route], [200, 'transparent'])
    assert.equal((await api.fetch({ url: file.onion_url })).receipt.route, 'socks')
    await eventually(async () => (await api.worker(2)).box?.tunnel?.problems.length === 0)

    const seen = await doctor(demo, file)
    for (const { worker } of file.boxes)
      for (const what of ['tunnel', 'isolation', 'listeners', 'settings', 'countries'])
        assert.equal(seen.get(`${worker}: ${what}`), 'ok', `${worker}: ${what}`)
    assert.deepEqual(
      [...seen].filter(([, verdict]) => verdict === 'wrong'),
      [],
    )

    // It is printed only where there is an ssh.
    const [program = '', ...args] = file.boxes[0]?.shell ?? ['echo', 'box1']
    const { stdout: hostname } = await promisify(execFile)(program, [...args, 'cat /proc/sys/kernel/hostname'])
    assert.equal(hostname.slice(0, 4), 'box1')
    await api.rebootBox(1)
    await eventually(async () => /tor01 went from starting to healthy/.test(demo.outputs.out))
    await eventually(async () => /^\d\d:\d\d:\d\d {2}box4 says of itself: [A-Z]+/m.test(demo.outputs.out))

    const second = await run(['--openwrt', '--once', '--state', demo.state])
    assert.equal(second.code, 1)
    assert.match(second.err, /Cannot use the state directory .*: another service uses it/)

    demo.child.kill('SIGINT')
    const { code, err } = await demo.end()
    assert.equal(code, 0, err)
    assert.deepEqual([existsSync(join(demo.state, 'demo.json')), readdirSync(join(demo.state, 'boxes'))], [false, []])
    demo.assertGone()
  })

  it('goes when it is killed, whichever of its processes that was', async () => {
    for (const victim of ['outside', 'inside']) {
      await using demo = startDemo(['--openwrt', '--listen', '127.0.0.1:0', '--state', 'STATE'])
      await eventually(async () => /boxes: the boxes are on/.test(demo.outputs.err))
      const pid =
        victim === 'outside' ? demo.child.pid : demo.pids().find((each) => commandOf(each).includes('--in-host'))
      assert.ok(pid)
      process.kill(pid, 'SIGKILL')
      const { code } = await demo.end()
      assert.equal(code, victim === 'outside' ? null : 1)
      if (victim === 'inside') assert.match(demo.outputs.err, /The process that held the boxes was ended by force/)
      await eventually(async () => demo.pids().length === 0)
      demo.assertGone()
    }
  })
})

describe('cbtor demo --openwrt, where it cannot be', { timeout: 300_000 }, () => {
  it('says what is missing', async () => {
    const nobody = await run(['--openwrt', '--once'], { uid: NOBODY, gid: NOBODY })
    assert.deepEqual([nobody.code, nobody.out], [1, ''])
    assert.match(nobody.err, /Cannot show boxes: it takes root, .* Run it as root, such as by sudo\n$/)

    const bare = await run(['--openwrt', '--once'], { without: ['dropbear', 'wg'] })
    assert.equal(bare.code, 1)
    assert.match(bare.err, /Cannot show boxes: this machine has no dropbear, no wg\. Run script\/setup/)
  })

  it('says why it cannot listen', async () => {
    const taken = createServer().listen(0, '127.0.0.1')
    await once(taken, 'listening')
    const { port } = taken.address() as { port: number }
    try {
      for (const [listen, expected, message] of [
        [`127.0.0.1:${port}`, 1, /Cannot listen on 127\.0\.0\.1:\d+: EADDRINUSE/],
        ['0.0.0.0:0', 2, /listen: others can reach 0\.0\.0\.0:0/],
        ['nowhere', 2, /listen: expected HOST:PORT/],
      ] as const) {
        const { code, err } = await run(['--openwrt', '--once', '--listen', listen])
        assert.equal(code, expected, err)
        assert.match(err, message)
      }
    } finally {
      taken.close()
    }
  })

  it('leaves the state of real boxes alone', async () => {
    const key = Buffer.alloc(32, 1).toString('base64')
    const real = {
      ...{ version: 1, id: 'tor01', payload: '1', package_manager: 'opkg' },
      ssh: { host: '10.0.0.7', port: 22, user: 'root', host_key: `SHA256:${'A'.repeat(43)}`, key_file: '/nowhere/key' },
      tunnel: {
        ...{ n: 1, private_key: key, listen_port: 51_821, box_public_key: key },
        ...{ box_endpoint: '10.0.0.7:51820', host_endpoint: '10.0.0.1:51821' },
      },
    }
    const state = mkdtempSync(join(tmpdir(), 'cbtor-d-'))
    try {
      mkdirSync(join(state, 'boxes'))
      const file = join(state, 'boxes', 'tor01.json')
      writeFileSync(file, JSON.stringify(real), { mode: 0o600 })
      const { code, err } = await run(['--openwrt', '--once', '--state', state])
      assert.equal(code, 1)
      assert.match(err, /it is of real boxes \(tor01\)\. Give another one by --state/)
      assert.deepEqual(JSON.parse(readFileSync(file, 'utf8')), real)
    } finally {
      rmSync(state, { recursive: true })
    }
  })

  it('does not take itself for the one in the namespace when it is not', async () => {
    const { code, err } = await run(['--openwrt', '--in-host'])
    assert.equal(code, 1)
    assert.match(err, /nobody made one for us\. Start "cbtor demo --openwrt"/)
  })
})

interface StartOptions {
  readonly uid?: number
  readonly gid?: number
  /** Programs that are not to be found. */
  readonly without?: readonly string[]
}

/** A demo of its own process; all that it keeps in files is in one directory, with a subdirectory `STATE`. */
/** What `cbtor doctor` says where the service of the demo is: verdicts by what was looked at. */
/** Asynchronously: connections that are kept have to be seen to end meanwhile. */
async function doctor(demo: ReturnType<typeof startDemo>, file: DemoFile): Promise<ReadonlyMap<string, string>> {
  const config = join(demo.state, 'cbtor.yaml')
  const proxy = { http: 'off', socks: 'off' }
  const workers = file.boxes.map(({ worker }) => ({ kind: 'openwrt', id: worker }))
  writeFileSync(config, JSON.stringify({ state: demo.state, listen: new URL(file.api).host, proxy, workers }))
  const inside = demo.pids().find((each) => commandOf(each).includes('--in-host'))
  const entering = [`--net=/proc/${inside}/ns/net`, process.execPath]
  const running = spawn('nsenter', [...entering, 'src/main.ts', 'doctor', '--json', '--config', config], {
    stdio: ['ignore', 'pipe', 'ignore'],
  })
  const stdout = await text(running.stdout)
  const { findings } = JSON.parse(stdout) as { findings: { name: string; verdict: string }[] }
  return new Map(findings.map(({ name, verdict }) => [name, verdict]))
}

function startDemo(args: readonly string[], { uid, gid, without = [] }: StartOptions = {}) {
  const before = interfaces()
  // Short, since there are unix sockets in it.
  const directory = mkdtempSync(join(tmpdir(), 'cbtor-d-'))
  const state = join(directory, 'state')
  const temporary = join(directory, 't')
  mkdirSync(temporary)
  const cli = [process.execPath, 'src/main.ts', 'demo', ...args.map((arg) => arg.replace('STATE', state))]
  const [program = '', ...argv] = without.length === 0 ? cli : withoutPrograms(without, cli)
  const child: ChildProcess = spawn(program, argv, {
    stdio: ['ignore', 'pipe', 'pipe'],
    env: { ...process.env, TMPDIR: temporary },
    ...(uid !== undefined && { uid }),
    ...(gid !== undefined && { gid }),
  })
  const outputs = { out: '', err: '' }
  child.stdout?.on('data', (text) => {
    outputs.out += text
  })
  child.stderr?.on('data', (text) => {
    outputs.err += text
  })
  const closed = once(child, 'close')
  /** All processes that know of its directory, apart from the boxes', which are seen by their root directory. */
  const pids = () =>
    readdirSync('/proc')
      .filter((pid) => /^\d+$/.test(pid) && Number(pid) !== process.pid)
      .map(Number)
      .filter((pid) => commandOf(pid).includes(directory) || environmentOf(pid).includes(`TMPDIR=${temporary}`))
  return {
    child,
    state,
    outputs,
    pids,
    async describedBy(): Promise<DemoFile> {
      const path = join(state, 'demo.json')
      await eventually(async () => {
        assert.equal(child.exitCode, null, outputs.err)
        return existsSync(path)
      })
      return JSON.parse(readFileSync(path, 'utf8')) as DemoFile
    },
    async end(): Promise<{ code: number | null; out: string; err: string }> {
      await closed
      return { code: child.exitCode, ...outputs }
    },
    assertGone(): void {
      assert.deepEqual(pids(), [])
      assert.deepEqual(interfaces(), before)
      assert.deepEqual(readdirSync(temporary), [])
      const mounts = readFileSync('/proc/self/mountinfo', 'utf8')
      assert.equal(mounts.includes(directory), false)
    },
    [Symbol.asyncDispose]: async () => {
      child.kill('SIGKILL')
      await closed
      await eventually(async () => pids().length === 0, 60_000)
      rmSync(directory, { recursive: true, force: true })
    },
  }
}

/** To its end. */
async function run(args: readonly string[], options: StartOptions = {}) {
  await using demo = startDemo(args, options)
  return await demo.end()
}

/** `command` where nobody may execute these programs. */
function withoutPrograms(names: readonly string[], command: readonly string[]): readonly string[] {
  const paths = names.map((name) =>
    execFileSync('sh', ['-c', 'command -v "$1"', 'sh', name], { encoding: 'utf8' }).trim(),
  )
  const hide = paths.map((path) => `mount --bind /dev/null ${path}`).join(' && ')
  return ['unshare', '--mount', '--', 'sh', '-c', `${hide} && exec "$@"`, 'sh', ...command]
}

function interfaces(): string[] {
  return [...readFileSync('/proc/self/net/dev', 'utf8').matchAll(/^\s*([^\s:|]+):/gm)].map(([, name = '']) => name)
}

function commandOf(pid: number): string {
  return read(`/proc/${pid}/cmdline`)
}

function environmentOf(pid: number): string {
  return read(`/proc/${pid}/environ`)
}

function read(path: string): string {
  try {
    return readFileSync(path, 'utf8')
  } catch {
    return '' // it has just ended
  }
}

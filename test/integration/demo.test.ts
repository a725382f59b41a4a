import assert from 'node:assert/strict'
import { type ChildProcess, spawn } from 'node:child_process'
import { once } from 'node:events'
import { existsSync, mkdtempSync, readdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { describe, it } from 'node:test'
import { createApiClient } from '../../src/client/client.ts'
import { eventually } from '../asking.ts'

interface DemoFile {
  readonly api: string
  readonly key_file: string
  readonly check_url: string
  readonly https_check_url: string
  readonly www_url: string
  readonly onion_url: string
  readonly ca_file: string
  readonly workers: string[]
  readonly pids: Record<string, number>
}

/** A `cbtor` of its own process, and a directory that goes with it: `STATE` in the arguments. */
function startCli(args: readonly string[], files: Readonly<Record<string, string>> = {}) {
  const state = mkdtempSync(join(tmpdir(), 'cbtor-cli-'))
  for (const [name, content] of Object.entries(files)) writeFileSync(join(state, name), content)
  const child = spawn(process.execPath, ['src/main.ts', ...args.map((arg) => arg.replace('STATE', state))], {
    stdio: ['ignore', 'pipe', 'pipe'],
  })
  const outputs = { out: '', err: '' }
  child.stdout.on('data', (chunk) => {
    outputs.out += chunk
  })
  child.stderr.on('data', (chunk) => {
    outputs.err += chunk
  })
  const closed = once(child, 'close')
  return {
    child,
    state,
    outputs,
    async end(): Promise<{ code: number | null; out: string; err: string }> {
      await closed
      return { code: child.exitCode, ...outputs }
    },
    [Symbol.asyncDispose]: async () => {
      child.kill('SIGKILL')
      await closed
      rmSync(state, { recursive: true, force: true })
    },
  }
}

async function demoFile(state: string, child: ChildProcess): Promise<DemoFile> {
  const path = join(state, 'demo.json')
  await eventually(async () => {
    assert.equal(child.exitCode, null, 'the demo still runs')
    return existsSync(path)
  }, 90_000)
  return JSON.parse(readFileSync(path, 'utf8')) as DemoFile
}

/** With the key that the demo has made for itself. */
function clientOf({ api, key_file: keyFile }: Pick<DemoFile, 'api' | 'key_file'>) {
  return createApiClient({ baseUrl: api, key: readFileSync(keyFile, 'utf8').trim() })
}

/** Processes that have `directory` in their command line. */
function processesOf(directory: string): string[] {
  return readdirSync('/proc').filter((pid) => {
    try {
      return /^\d+$/.test(pid) && readFileSync(`/proc/${pid}/cmdline`, 'utf8').includes(directory)
    } catch {
      return false
    }
  })
}

describe('cbtor demo', { timeout: 600_000 }, () => {
  it('shows one fetch of each kind and exits with 0 when asked to run once', async () => {
    await using demo = startCli(['demo', '--once', '--listen', '127.0.0.1:0', '--state', 'STATE'])
    const { code, out, err } = await demo.end()
    assert.equal(code, 0, err)
    for (const what of ['round_robin', 'sticky', 'random', 'least_connections', 'failover', 'onion service', 'https']) {
      assert.match(out, new RegExp(`^.*${what}.* tor0[1-4] +socks .* 200 `, 'm'))
    }
    const rowOf = (what: string) => out.split('\n').find((line) => line.startsWith(`${what}  `))
    const exitOf = (what: string) => /exit[1-4]/.exec(rowOf(what) ?? '')?.[0]
    assert.equal(exitOf('sticky session'), exitOf('sticky session, again'))
    assert.notEqual(exitOf('fresh identity, other exit'), exitOf('sticky session'))
    assert.match(out, /\/docs/)
    assert.match(err, /private Tor network/)
    assert.deepEqual(processesOf(demo.state), [])
  })

  it('describes itself in demo.json while it is up, answers there, and cleans up at Ctrl-C', async () => {
    await using demo = startCli(['demo', '--listen', '127.0.0.1:0', '--state', 'STATE', '--latency', '5'])
    const file = await demoFile(demo.state, demo.child)
    assert.deepEqual(file.workers, ['tor01', 'tor02', 'tor03', 'tor04'])
    assert.deepEqual(Object.keys(file.pids), file.workers)
    assert.ok(Object.values(file.pids).every((pid) => existsSync(`/proc/${pid}`)))
    assert.match(readFileSync(file.ca_file, 'utf8'), /BEGIN CERTIFICATE/)
    const api = clientOf(file)
    await assert.rejects(createApiClient({ baseUrl: file.api }).health(), /without a key/)
    for (const url of [file.check_url, file.https_check_url, file.www_url, file.onion_url]) {
      assert.equal((await api.fetch({ url })).status, 200, url)
    }
    await using warmup = startCli(['warmup', '--api', file.api, '--state', demo.state])
    const warm = await warmup.end()
    assert.equal(warm.code, 0, warm.err)
    assert.equal(warm.out.match(/^tor0[1-4] +warm /gm)?.length, 4)

    const at = ['--api', file.api, '--state', demo.state]
    await using follower = startCli(['events', '--follow', '--limit', '1', '--type', 'tor_restarted', '--json', ...at])
    await using page = startCli(['fetch', file.https_check_url, '--receipt', ...at])
    const fetched = await page.end()
    assert.equal(fetched.code, 0, fetched.err)
    assert.match(fetched.out, /"IsTor":\s*true/)
    assert.match(fetched.err, /^worker +tor0[1-4], by socks$/m)
    assert.match(fetched.err, /^circuit +\S+.* → .* → exit[1-4] \([a-z]{2}\)$/m)
    await using onion = startCli(['fetch', file.onion_url, '--raw', '-i', ...at])
    const raw = await onion.end()
    assert.deepEqual([raw.code, /^HTTP\/1\.1 200\r\n/.test(raw.out)], [0, true], raw.err)
    await using restart = startCli(['workers', 'restart', 'tor02', ...at])
    const restarted = await restart.end()
    assert.deepEqual([restarted.code, restarted.err], [0, ''])
    assert.match(restarted.out, /^tor02 is restarted, and /)
    await eventually(async () => /"type":"tor_restarted".*"worker":"tor02"/.test(follower.outputs.out), 60_000)
    await eventually(async () => {
      await using status = startCli(['status', ...at])
      const { code, out } = await status.end()
      return code === 0 && /^The pool is healthy: 4 of 4 workers/.test(out)
    }, 90_000)
    follower.child.kill('SIGINT')
    assert.equal((await follower.end()).code, 130)

    demo.child.kill('SIGINT')
    const { code } = await demo.end()
    assert.equal(code, 0)
    assert.equal(existsSync(join(demo.state, 'demo.json')), false)
    assert.deepEqual(processesOf(demo.state), [])
    assert.equal(existsSync(file.ca_file), false, "the private network's directory is gone")
  })

  it('does not touch the state of a demo that runs', async () => {
    await using demo = startCli(['demo', '--listen', '127.0.0.1:0', '--state', 'STATE'])
    const file = await demoFile(demo.state, demo.child)
    await using second = startCli(['demo', '--once', '--listen', '127.0.0.1:0', '--state', demo.state])
    const { code, err } = await second.end()
    assert.equal(code, 1)
    assert.match(err, /another service uses it/)
    assert.deepEqual(JSON.parse(readFileSync(join(demo.state, 'demo.json'), 'utf8')), file)
    assert.equal((await clientOf(file).fetch({ url: file.www_url })).status, 200)
    demo.child.kill('SIGINT')
    assert.equal((await demo.end()).code, 0)
  })

  it('leaves no process and no file of the network behind when it is killed', async () => {
    await using demo = startCli(['demo', '--listen', '127.0.0.1:0', '--state', 'STATE'])
    const file = await demoFile(demo.state, demo.child)
    demo.child.kill('SIGKILL')
    await demo.end()
    await eventually(async () => processesOf(demo.state).length === 0)
    await eventually(async () => Object.values(file.pids).every((pid) => !existsSync(`/proc/${pid}`)))
    await eventually(async () => !existsSync(file.ca_file))
  })
})

describe('cbtor testnet up and cbtor up', { timeout: 600_000 }, () => {
  it('run the network and the service apart, joined by a configuration file', async () => {
    await using testnet = startCli(['testnet', 'up'])
    await eventually(async () => testnet.outputs.out.endsWith('}\n'))
    const network = JSON.parse(testnet.outputs.out) as {
      client_command: string[]
      client_torrc: string[]
      ca_file: string
      urls: Record<string, string>
    }
    const configuration = {
      listen: '127.0.0.1:0',
      proxy: { http: '127.0.0.1:0', socks: '127.0.0.1:0' },
      workers: [
        { kind: 'local', id: 'first' },
        { kind: 'local', id: 'second', torrc: ['MaxCircuitDirtiness 300'] },
      ],
      tor: { command: network.client_command, torrc: network.client_torrc },
      targets: { ca_file: network.ca_file },
      checks: { clearnet: [`${network.urls.check}/api/ip`], onion: [`${network.urls.onion}/`] },
    }
    await using service = startCli(['up', '--config', 'STATE/cbtor.yaml', '--state', 'STATE'], {
      'cbtor.yaml': JSON.stringify(configuration),
    })
    const url = await eventually(async () => /API answers at (\S+)/.exec(service.outputs.err)?.[1])
    const keyFile = join(service.state, 'admin.key')
    assert.ok(service.outputs.err.includes(`cbtor: the admin key is in ${keyFile}\n`), service.outputs.err)
    const api = clientOf({ api: url, key_file: keyFile })
    await eventually(async () => (await api.health()).receiving_traffic === 2)
    await api.setMode('failover')
    await api.drain('first')
    assert.equal((await api.fetch({ url: `${network.urls.httpsWww}/ip` })).worker, 'second')

    service.child.kill('SIGTERM')
    assert.equal((await service.end()).code, 0)
    await using again = startCli(['up', '--config', `${service.state}/cbtor.yaml`, '--state', service.state])
    const urlAgain = await eventually(async () => /API answers at (\S+)/.exec(again.outputs.err)?.[1])
    const health = await clientOf({ api: urlAgain, key_file: keyFile }).health()
    for (const { outputs } of [service, again])
      assert.doesNotMatch(outputs.err, /cbt_/, 'the key is shown to terminals alone')
    assert.doesNotMatch(again.outputs.err, /admin key/, 'it is made once')
    assert.equal(health.mode, 'failover', 'the mode outlasts a restart')
    assert.deepEqual(
      health.workers.map(({ id, desired }) => [id, desired]),
      [
        ['first', 'drained'],
        ['second', 'enabled'],
      ],
    )
    again.child.kill('SIGTERM')
    assert.equal((await again.end()).code, 0)
  })
})

describe('cbtor', { timeout: 300_000 }, () => {
  it('says what is wrong with a command line, and what would be right', async () => {
    const cases: [args: string[], code: number, err: RegExp][] = [
      [['demo', '--latency', 'soon'], 2, /whole milliseconds from 0 to 1000/],
      [['drill', '--kills', 'many'], 2, /whole number from 0 to 9999/],
      [['warmup', '--api', 'http://127.0.0.1:1'], 4, /the service cannot be reached: http:\/\/127\.0\.0\.1:1/],
      [['demo', '--nonsense'], 2, /unknown option '--nonsense'/],
      [['nonsense'], 2, /unknown command 'nonsense'/],
      [['up', '--listen', 'nowhere'], 2, /listen: expected HOST:PORT.*"nowhere"/],
      [['up', '--listen', '0.0.0.0:0', '--state', 'STATE'], 2, /listen: others can reach 0\.0\.0\.0:0/],
      [['up', '--config', '/nowhere.yaml'], 2, /\/nowhere\.yaml: cannot be read/],
    ]
    for (const [args, expected, message] of cases) {
      await using cli = startCli(args)
      const { code, err } = await cli.end()
      assert.equal(code, expected, `${args.join(' ')}: ${err}`)
      assert.match(err, message)
    }
  })

  it('helps', async () => {
    await using cli = startCli(['--help'])
    const { code, out } = await cli.end()
    assert.equal(code, 0)
    assert.match(out, /up.*demo.*testnet.*Exit codes/s)
  })
})

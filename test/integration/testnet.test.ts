/** The private Tor network does what it says, with real tor daemons and a real client. Needs no internet; about a minute. */
import assert from 'node:assert/strict'
import { type ChildProcess, execFile, spawn, spawnSync } from 'node:child_process'
import { once } from 'node:events'
import { existsSync, readFileSync } from 'node:fs'
import { mkdir, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { createInterface } from 'node:readline'
import { after, before, describe, it } from 'node:test'
import { setTimeout as sleep } from 'node:timers/promises'
import { fileURLToPath } from 'node:url'
import { promisify } from 'node:util'
import { whyNoNamespaces } from '../../src/testnet/namespace.ts'
import { TorNetwork } from '../../src/testnet/network.ts'

const NETWORK_MODULE = fileURLToPath(new URL('../../src/testnet/network.ts', import.meta.url))
const noTor = spawnSync('tor', ['--version']).error ? 'tor is not installed' : false
const noNamespace = noTor || ((await whyNoNamespaces()) ?? false)

describe('TorNetwork in a namespace', { skip: noNamespace, timeout: 600_000 }, () => {
  let network: TorNetwork
  let client: Client
  const steps: string[] = []

  before(async () => {
    network = await TorNetwork.create({ onProgress: ({ done, total, text }) => steps.push(`${done}/${total} ${text}`) })
    client = await Client.start(network)
  })
  after(async () => {
    await client?.[Symbol.asyncDispose]()
    await network?.[Symbol.asyncDispose]()
  })

  it('says what it does and loses nothing', () => {
    assert.equal(network.isolation, 'namespace')
    assert.deepEqual(network.lost, [])
    assert.match(steps.at(-1) ?? '', /^(\d+)\/\1 /)
    const roles = Object.groupBy(network.processes(), ({ role }) => role)
    assert.deepEqual(
      Object.entries(roles).map(([role, members]) => `${members?.length} ${role}`),
      ['3 authority', '2 guard', '4 exit', '2 onion-service'],
    )
    assert.ok(network.processes().every(({ pid }) => pid !== undefined && existsSync(`/proc/${pid}`)))
  })

  it('serves a page over http and https', async () => {
    assert.match(await client.get(`${network.urls.www}/`), /private Tor network/)
    assert.match(await client.get(`${network.urls.httpsWww}/`, '--cacert', network.caFile), /private Tor network/)
  })

  it('offers a certificate that nobody should accept', async () => {
    await assert.rejects(client.get(network.urls.badCertificate, '--cacert', network.caFile), /self-signed/)
  })

  it('gives each exit a source address of its own, which the check site knows', async () => {
    const exits = network.processes().filter(({ role }) => role === 'exit')
    const seen = new Set<string>()
    for (let user = 0; user < 40 && seen.size < exits.length; user++) {
      const answer = await client.get(`${network.urls.check}/api/ip`, '--proxy-user', `u${user}:x`)
      const { IsTor, IP } = JSON.parse(answer)
      assert.equal(IsTor, true)
      seen.add(IP)
    }
    assert.deepEqual([...seen].sort(), exits.map(({ address }) => address).sort())
  })

  it('serves an onion service', async () => {
    assert.match(await client.get(`${network.urls.onion}/`), /private Tor network/)
  })

  it('refuses the private onion service without the key, and serves it with the key', async () => {
    // SOCKS reply F4: the service asks for client authorization.
    await assert.rejects(client.get(network.urls.privateOnion), /\(244\)/)
    await using authorized = await Client.start(network, { name: 'authorized', onionAuth: true })
    assert.match(await authorized.get(`${network.urls.privateOnion}/`), /private Tor network/)
  })

  it('tells names that do not exist and ports that are closed apart from those that work', async () => {
    await assert.rejects(client.get(network.urls.nowhere), /\(4\)/)
    await assert.rejects(client.get(network.urls.refused), /\((1|5)\)/)
  })

  it('logs what the sites and the resolver were asked', async () => {
    await client.get(`${network.urls.www}/anything?seen=1`, '-H', 'X-Marked: Yes')
    const request = (await network.requests()).findLast(({ path }) => path === '/anything?seen=1')
    assert.equal(request?.site, 'www')
    assert.ok(request?.rawHeaders.some(([name, value]) => name === 'X-Marked' && value === 'Yes'))
    assert.ok((await network.dnsQueries()).some(({ name }) => name === 'www.cbtor.test'))
  })

  it('has no way to the real internet', async () => {
    const inside = network.clientCommand().slice(0, -1)
    const [program = '', ...args] = [...inside, 'ip', 'route', 'get', '192.0.2.1']
    await assert.rejects(promisify(execFile)(program, args), /unreachable/)
    await assert.rejects(client.get('http://192.0.2.1/'), /SOCKS5/)
  })

  it('keeps clients and exits from private addresses', async () => {
    await assert.rejects(client.get('http://127.0.0.1/'), /\(1\)/)
  })

  it('fails DNS when told to', async () => {
    await network.failDns('nxdomain')
    await assert.rejects(client.get('http://unknown.cbtor.test/'), /\(4\)/)
    await network.failDns('timeout')
    await assert.rejects(client.get('http://unanswered.cbtor.test/', '--max-time', '2'), /timed out/)
    await network.failDns('ok')
    assert.match(await client.get('http://known-again.cbtor.test/'), /private Tor network/)
  })

  it('makes exits refuse a port behind the back of the consensus', async () => {
    const exits = network.processes().filter(({ role }) => role === 'exit')
    for (const { name } of exits) await network.setExitRefuses(name, [80])
    // Tor tries one exit after the other and does not give up.
    await assert.rejects(client.get(network.urls.www, '--max-time', '3'), /timed out/)
    assert.match(await client.get(network.urls.httpsWww, '--cacert', network.caFile), /private Tor network/)
    for (const { name } of exits) await network.setExitRefuses(name, [])
    assert.match(await client.get(network.urls.www), /private Tor network/)
  })

  it('freezes and thaws a process', async () => {
    await network.stop('onion1')
    await assert.rejects(client.get(`${network.urls.onion}/`, '--max-time', '2'), /timed out/)
    await network.resume('onion1')
    assert.match(await client.get(`${network.urls.onion}/`), /private Tor network/)
  })

  it('cuts one client off without a word, and not another, until it is told to stop', async () => {
    await using alone = await Client.start(network, { name: 'alone', number: 1 })
    await using other = await Client.start(network, { name: 'other', number: 2 })
    assert.match(await alone.get(network.urls.www), /private Tor network/)
    await network.blackhole(1, true)
    await network.blackhole(1, true)
    const waiting = alone.get(`${network.urls.www}/late`)
    await assert.rejects(alone.get(network.urls.www, '--max-time', '1'), /timed out/)
    assert.match(await other.get(network.urls.www), /private Tor network/)
    await network.blackhole(1, false)
    await waiting
    assert.match(await alone.get(network.urls.www), /private Tor network/)
    await assert.rejects(network.blackhole(0, true), RangeError)
  })

  it('kills and restarts a process', async () => {
    const pid = () => network.processes().find(({ name }) => name === 'onion1')?.pid
    const first = pid()
    await network.kill('onion1')
    assert.equal(pid(), undefined)
    assert.equal(existsSync(`/proc/${first}`), false)
    await network.restart('onion1')
    assert.ok(pid() !== undefined && pid() !== first)
    assert.match(await client.get(`${network.urls.onion}/`), /private Tor network/)
  })

  it('names the process that it does not have', async () => {
    await assert.rejects(network.kill('exit9'), /no process "exit9"/)
    await assert.rejects(network.setExitRefuses('relay1', [80]), /"relay1": it is no exit/)
  })
})

describe('the end of a TorNetwork', { skip: noNamespace, timeout: 600_000 }, () => {
  it('leaves nothing behind when its owner, an ordinary user, is killed', async () => {
    const script = `
      const { TorNetwork } = await import(${JSON.stringify(NETWORK_MODULE)})
      const network = await TorNetwork.create({ isolation: 'namespace', latencyMs: 5 })
      console.log(JSON.stringify([network.directory, ...network.processes().map(({ pid }) => pid)]))
      setInterval(() => {}, 1000)`
    const command = [...ordinaryUser(), process.execPath, '--input-type=module', '--eval', script]
    const owner = start(command)
    const [line] = await once(createInterface(owner.stdout), 'line')
    const [directory, ...pids] = JSON.parse(line)
    assert.equal(pids.length, 11)
    assert.ok(existsSync(directory) && pids.every((pid: number) => existsSync(`/proc/${pid}`)))

    owner.kill('SIGKILL')
    await until(() => !existsSync(directory) && pids.every((pid: number) => !existsSync(`/proc/${pid}`)))
  })

  it('leaves nothing behind when its making is given up', async () => {
    const given = new AbortController()
    const onProgress = () => given.abort(new Error('changed my mind'))
    await assert.rejects(TorNetwork.create({ onProgress }, given.signal), /changed my mind/)
    assert.deepEqual(childrenOf(process.pid), [])
  })
})

describe('TorNetwork on loopback', { skip: noTor, timeout: 600_000 }, () => {
  it('works, says what is lost, and leaves nothing behind', async () => {
    const network = await TorNetwork.create({ isolation: 'loopback' })
    try {
      assert.equal(network.isolation, 'loopback')
      assert.match(network.lost.join('\n'), /source address 127\.0\.0\.1/)
      await assert.rejects(network.blackhole(1, true), /on loopback/)
      await using client = await Client.start(network)
      const answer = await client.get(`${network.urls.httpsCheck}/api/ip`, '--cacert', network.caFile)
      assert.deepEqual(JSON.parse(answer), { IsTor: true, IP: '127.0.0.1' })
      assert.match(await client.get(`${network.urls.onion}/`), /private Tor network/)
      await assert.rejects(client.get(network.urls.nowhere), /\(4\)/)
    } finally {
      const pids = network.processes().map(({ pid }) => pid)
      await network[Symbol.asyncDispose]()
      assert.equal(pids.length, 11)
      assert.deepEqual(
        pids.filter((pid) => existsSync(`/proc/${pid}`)),
        [],
      )
      assert.equal(existsSync(network.directory), false)
    }
  })
})

/** A tor client of the network, started from outside and used by its unix socket. */
class Client implements AsyncDisposable {
  readonly #child: ChildProcess
  readonly #socksPath: string

  private constructor(child: ChildProcess, socksPath: string) {
    this.#child = child
    this.#socksPath = socksPath
  }

  static async start(
    network: TorNetwork,
    { name = 'client', onionAuth = false, number = undefined as number | undefined } = {},
  ): Promise<Client> {
    const directory = join(network.directory, name)
    await mkdir(join(directory, 'auth'), { recursive: true, mode: 0o700 })
    if (onionAuth) await writeFile(join(directory, 'auth', 'a.auth_private'), network.privateOnionAuth.fileLine)
    const torrc = [
      ...network.clientTorrc(number === undefined ? {} : { client: number }),
      `ClientRejectInternalAddresses ${Number(network.isolation === 'namespace')}`,
      `ClientDNSRejectInternalAddresses ${Number(network.isolation === 'namespace')}`,
      `DataDirectory ${join(directory, 'data')}`,
      `SocksPort unix:${join(directory, 'socks')} ExtendedErrors`,
      `ClientOnionAuthDir ${join(directory, 'auth')}`,
      `__OwningControllerProcess ${process.pid}`,
    ]
    await writeFile(join(directory, 'torrc'), torrc.join('\n'))
    const child = start([...network.clientCommand(), '-f', join(directory, 'torrc')])
    for await (const line of createInterface(child.stdout)) if (line.includes('Bootstrapped 100%')) break
    child.stdout.resume()
    return new Client(child, join(directory, 'socks'))
  }

  async get(url: string, ...options: string[]): Promise<string> {
    const proxy = ['--proxy', `socks5h://localhost${this.#socksPath}`]
    const limits = ['--silent', '--show-error', '--max-time', '30']
    return (await promisify(execFile)('curl', [...limits, ...proxy, ...options, url])).stdout
  }

  async [Symbol.asyncDispose](): Promise<void> {
    const closed = once(this.#child, 'close')
    this.#child.kill('SIGKILL')
    await closed
  }
}

function start([program = '', ...args]: string[]) {
  return spawn(program, args, { stdio: ['ignore', 'pipe', 'inherit'] })
}

/** What makes a command run as nobody, if we may do that and nobody may read the sources. */
function ordinaryUser(): string[] {
  const command = ['setpriv', '--reuid=65534', '--regid=65534', '--clear-groups', '--']
  const [program = '', ...args] = [...command, 'test', '-r', NETWORK_MODULE]
  return spawnSync(program, args).status === 0 ? command : []
}

function childrenOf(pid: number): string[] {
  return readFileSync(`/proc/${pid}/task/${pid}/children`, 'utf8').split(' ').filter(Boolean)
}

async function until(condition: () => boolean): Promise<void> {
  while (!condition()) await sleep(20)
}

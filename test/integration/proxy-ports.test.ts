import assert from 'node:assert/strict'
import { execFile } from 'node:child_process'
import { once } from 'node:events'
import { existsSync } from 'node:fs'
import { connect, type Socket } from 'node:net'
import { join } from 'node:path'
import { after, before, describe, it } from 'node:test'
import { promisify } from 'node:util'
import { createApiClient } from '../../src/client/client.ts'
import { parseConfig } from '../../src/config/read-config.ts'
import { createService, type Service } from '../../src/service.ts'
import { eventually } from '../asking.ts'
import { createLab, type Lab } from './lab.ts'

const WORKERS = ['tor01', 'tor02', 'tor03', 'tor04']
let lab: Lab
let ports: { readonly http: string; readonly socks: string }

before(async () => {
  lab = await createLab()
  const { http = '', socks = '' } = lab.service.proxy
  ports = { http, socks }
})

after(async () => {
  await lab?.[Symbol.asyncDispose]()
})

describe('the ports of the proxy', { timeout: 600_000 }, () => {
  it('have a worker that is drained wait for its tunnels, and end those of one that is stopped', async () => {
    const ofTor02 = async () => (await lab.api.worker('tor02')).leases
    const first = await openTunnel('worker-tor02')
    assert.equal(await ofTor02(), 1)
    await lab.api.drain('tor02')
    assert.equal(await ask(first), 200)
    first.resetAndDestroy()
    await eventually(async () => (await ofTor02()) === 0, 20_000)
    await lab.api.enable('tor02')

    const second = await openTunnel('worker-tor03')
    const closed = new Promise((resolve) => second.once('close', resolve))
    await lab.api.stopTor('tor03')
    await closed
    await lab.api.startTor('tor03')
    await lab.service.ready(AbortSignal.timeout(30_000))
  })

  it('take programs to http, https and onion services', async () => {
    const { urls, caFile } = lab.network
    for (const proxy of [ports.http, ports.socks]) {
      const { IsTor, IP } = JSON.parse(await curl(proxy, `${urls.check}/api/ip`))
      assert.ok(IsTor && lab.exits.some(({ address }) => address === IP), `${proxy} ${IP}`)
      assert.match(await curl(proxy, '--cacert', caFile, `${urls.httpsCheck}/api/ip`), /"IsTor":true/)
      assert.match(await curl(proxy, `${urls.onion}/`), /It works/)
      assert.match(await curl(proxy, '--proxytunnel', `${urls.www}/ip`), /203\.0\.113\./)
    }
    // By the HTTP port again, with a body.
    const echo = JSON.parse(await curl(ports.http, '-d', 'a body', `${urls.www}/anything`))
    assert.equal(echo.body, 'a body')
  })

  it('send on what the program said, and nothing that tells of it or of us', async () => {
    const body = await curl(
      ports.http,
      '-H',
      'X-Forwarded-For: 10.1.2.3',
      '-H',
      'X-Mine: yes',
      `${lab.network.urls.www}/headers`,
    )
    const names = (JSON.parse(body).rawHeaders as [string, string][]).map(([name]) => name)
    assert.deepEqual(names, ['Host', 'User-Agent', 'Accept', 'X-Mine'])
  })

  it('keep the exit of a key on both ports and in the API, and give everything its own when asked to', async () => {
    const url = `${lab.network.urls.check}/api/ip`
    const as = (name: string) => ['--proxy-user', `${name}:x`, url] as const
    const exits = new Set<string>()
    for (let n = 0; n < 3; n++) {
      exits.add(JSON.parse(await curl(ports.http, ...as('key-alice'))).IP)
      exits.add(JSON.parse(await curl(ports.socks, ...as('key-alice'))).IP)
      exits.add(JSON.parse(await curl(ports.http, '--proxytunnel', ...as('key-alice'))).IP)
      exits.add(JSON.parse((await lab.api.fetch({ url, sticky_key: 'alice' })).body).IP)
    }
    assert.equal(exits.size, 1)
    const { exit, requests } = await lab.api.session('alice')
    assert.deepEqual(new Set([exit?.address]), exits)
    assert.equal(requests, 12)

    const fresh = Array.from({ length: 12 }, () => curl(ports.socks, ...as('isolate-request;worker-tor01')))
    const seen = (await Promise.all(fresh)).map((body) => JSON.parse(body).IP)
    assert.ok(new Set(seen).size > 1)
  })

  it('look up names at an exit', async () => {
    const { hostname } = new URL(lab.network.urls.www)
    const { address } = await resolveBySocks(hostname)
    assert.match(address ?? '', /^198\.51\.100\.\d+$/)
    const { reply } = await resolveBySocks(new URL(lab.network.urls.nowhere).hostname)
    assert.equal(reply, 4)
  })

  it('say what is wrong, and never that it is well', async () => {
    const { urls } = lab.network
    const statusOf = async (...args: string[]) =>
      (await curlFails(ports.http, '-o', '/dev/null', '-w', '%{http_code} %{http_connect}', ...args)).trim()
    assert.equal(await statusOf(urls.refused), '502 000')
    assert.equal(await statusOf('--proxytunnel', urls.refused), '000 502')
    assert.equal(await statusOf('--proxytunnel', urls.nowhere), '000 502')
    assert.equal(await statusOf('http://10.0.0.1/'), '403 000')
    assert.equal(await statusOf('--proxy-user', 'colour-red:x', urls.www), '400 000')
  })

  it('notice nothing of a worker that is killed while it connects', async () => {
    const { pid } = (await lab.api.worker('tor01')).process
    assert.ok(pid)
    const url = `${lab.network.urls.www}/ip`
    const running = Array.from({ length: 24 }, (_, n) =>
      curl(
        n % 2 ? ports.socks : ports.http,
        ...(n % 3 ? ['--proxytunnel'] : []),
        '--proxy-user',
        'isolate-request:x',
        url,
      ),
    )
    process.kill(pid, 'SIGKILL')
    for (const body of await Promise.all(running)) assert.match(body, /203\.0\.113\./)
    await eventually(async () => (await lab.api.worker('tor01')).receives_traffic)
  })

  it('refuse at once when nobody is left', async () => {
    for (const id of WORKERS) await lab.api.stopTor(id)
    const { urls } = lab.network
    for (const args of [[], ['--proxytunnel']]) {
      const codes = await curlFails(
        ports.http,
        '-o',
        '/dev/null',
        '-w',
        '%{http_code}%{http_connect}',
        ...args,
        urls.www,
      )
      assert.match(codes, /503/)
    }
    assert.equal((await resolveBySocks('www.cbtor.test')).reply, 1)
  })
})

describe('one port for both, with keys', { timeout: 300_000 }, () => {
  it('takes those who have one, by either protocol, and nobody else', async () => {
    await using one = await withProxy({ both: '127.0.0.1:0', auth: 'on' }, 'both')
    const api = createApiClient({ baseUrl: one.url })
    const { key } = await api.createKey({ name: 'alice', scopes: ['proxy'] })
    const { key: other } = await api.createKey({ name: 'not for the proxy', scopes: ['fetch'] })
    const { http = '', socks = '' } = one.proxy
    assert.equal(new URL(http).port, new URL(socks).port)
    await one.ready(AbortSignal.timeout(30_000))
    const url = `${lab.network.urls.www}/ip`
    for (const proxy of [http, socks]) {
      assert.match(await curl(proxy, '--proxy-user', `key-alice:${key}`, url), /203\.0\.113\./)
      for (const user of [['--proxy-user', 'key-alice:wrong'], ['--proxy-user', `key-alice:${other}`], []]) {
        const refused = /407|403|No authentication method was acceptable|User was rejected/
        await assert.rejects(curl(proxy, ...user, url), refused)
      }
    }
    const codes = ['-o', '/dev/null', '-w', '%{http_code} %{http_connect}']
    assert.equal(await curlFails(http, ...codes, url), '407 000')
    assert.equal(await curlFails(http, ...codes, '--proxytunnel', url), '000 407')
  })

  it('is no service when its port is taken or others could reach it, and starts no Tor before that shows', async () => {
    const { host } = new URL(ports.http)
    await assert.rejects(withProxy({ http: host }), (error: Error) => {
      assert.equal(error.name, 'ConfigError')
      assert.match(error.message, /proxy\.http: Cannot listen on 127\.0\.0\.1:\d+: EADDRINUSE; free it/)
      return true
    })
    await assert.rejects(
      withProxy({ http: '0.0.0.0:0' }),
      /proxy\.http: others can reach 0\.0\.0\.0:0, and would need no key/,
    )
    assert.equal(existsSync(join(lab.network.directory, 'other', 'workers')), false)
  })
})

/** Another service on the same network, with one worker. */
async function withProxy(proxy: Readonly<Record<string, string>>, state = 'other'): Promise<Service> {
  const { network } = lab
  const document = {
    listen: '127.0.0.1:0',
    state: join(network.directory, state),
    auth: 'off',
    log: 'silent',
    proxy: 'both' in proxy ? proxy : { http: 'off', socks: 'off', ...proxy },
    workers: [{ kind: 'local', id: 'tor01', torrc: network.clientTorrc({ client: 5 }) }],
    tor: { command: network.clientCommand() },
    ...{ limits: { rate: 'off', concurrent: 'off' }, politeness: 'off' },
    targets: { allow_reserved: ['203.0.113.0/24'] },
    checks: { clearnet: [`${network.urls.check}/api/ip`], onion: [`${network.urls.onion}/`] },
  }
  return await createService(parseConfig(document, {}), {}, new AbortController().signal)
}

/** Resolves with what curl printed; rejects when it fails or the answer's status is one of failure. */
async function curl(proxy: string, ...args: string[]): Promise<string> {
  const { stdout } = await promisify(execFile)('curl', ['-sS', '--fail', '-m', '30', '-x', proxy, ...args])
  return stdout
}

/** What curl printed although it failed, if it did. */
async function curlFails(proxy: string, ...args: string[]): Promise<string> {
  const run = promisify(execFile)('curl', ['-s', '-m', '30', '-x', proxy, ...args])
  return await run.then(
    ({ stdout }) => stdout,
    (error: { stdout: string }) => error.stdout,
  )
}

async function openTunnel(userName: string): Promise<Socket> {
  const { hostname, port } = new URL(ports.http)
  const socket = connect(Number(port), hostname)
  const target = `${new URL(lab.network.urls.www).hostname}:80`
  const credentials = Buffer.from(`${userName}:`).toString('base64')
  socket.write(`CONNECT ${target} HTTP/1.1\r\nhost: ${target}\r\nproxy-authorization: basic ${credentials}\r\n\r\n`)
  assert.match(String((await once(socket, 'data'))[0]), /^HTTP\/1\.1 200 /)
  return socket.on('error', () => {})
}

/** The status of a request by a tunnel. */
async function ask(tunnel: Socket): Promise<number> {
  tunnel.write(`GET /ip HTTP/1.1\r\nhost: ${new URL(lab.network.urls.www).hostname}\r\n\r\n`)
  return Number(/^HTTP\/1\.1 (\d+)/.exec(String((await once(tunnel, 'data'))[0]))?.[1])
}

/** Tor's RESOLVE, of IPv4. */
async function resolveBySocks(name: string): Promise<{ reply: number | undefined; address?: string }> {
  const { hostname, port } = new URL(ports.socks)
  const socket = connect(Number(port), hostname)
  socket.write(Buffer.from([5, 1, 0]))
  await once(socket, 'data')
  socket.write(Buffer.concat([Buffer.from([5, 0xf0, 0, 3, name.length]), Buffer.from(name), Buffer.from([0, 0])]))
  const [answer] = (await once(socket, 'data')) as [Buffer]
  socket.destroy()
  return { reply: answer[1], ...(answer[1] === 0 && { address: answer.subarray(4, 8).join('.') }) }
}

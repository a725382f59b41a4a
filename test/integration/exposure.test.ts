import assert from 'node:assert/strict'
import { execFile, spawn } from 'node:child_process'
import { once } from 'node:events'
import { chmodSync, copyFileSync, mkdirSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs'
import { request as httpRequest } from 'node:http'
import { Agent, createServer as createHttpsServer, request as httpsRequest } from 'node:https'
import { createServer, type Socket } from 'node:net'
import { networkInterfaces, tmpdir } from 'node:os'
import { join } from 'node:path'
import { after, before, describe, it } from 'node:test'
import { connect as connectTls } from 'node:tls'
import { promisify } from 'node:util'
import { parseConfig } from '../../src/config/read-config.ts'
import { TestCertificate } from '../../src/listen/test-certificate.ts'
import { createService, type Service } from '../../src/service.ts'
import { TorNetwork } from '../../src/testnet/network.ts'
import { each, eventually } from '../asking.ts'

/** One of this machine that others may reach, where it has one: the service listens on all of them. */
const ADDRESS =
  Object.values(networkInterfaces())
    .flatMap((addresses) => addresses ?? [])
    .find(({ family, internal }) => family === 'IPv4' && !internal)?.address ?? '127.0.0.1'
const NAMES = `DNS:cbtor.test,IP:${ADDRESS},IP:127.0.0.1`

let network: TorNetwork
let files: TestCertificate
let service: Service
let key: string

before(async () => {
  network = await TorNetwork.create()
  files = new TestCertificate(NAMES)
  service = await createService(
    configOf('exposed', {
      listen: '0.0.0.0:0',
      hosts: ['cbtor.test'],
      proxy: { http: '0.0.0.0:0', socks: '0.0.0.0:0' },
      tls: { cert_file: files.cert_file, key_file: files.key_file },
    }),
    {},
    new AbortController().signal,
  )
  key = service.adminKey ?? ''
  await service.ready(AbortSignal.timeout(60_000))
})

after(async () => {
  await service?.[Symbol.asyncDispose]()
  files?.[Symbol.dispose]()
  await network?.[Symbol.asyncDispose]()
})

describe('a service that others can reach', { timeout: 600_000 }, () => {
  it('answers by TLS and with a key, under its address and its name, and in no other way', async () => {
    const api = `https://${ADDRESS}:${portOf(service.url)}`
    const bearer = ['-H', `authorization: Bearer ${key}`]
    const fetchIt = [...bearer, '-H', 'content-type: application/json', '-d']
    const answer = await curl(
      '--cacert',
      files.cert_file,
      ...fetchIt,
      body(`${network.urls.check}/api/ip`),
      `${api}/api/v1/fetch`,
    )
    assert.equal(JSON.parse(JSON.parse(answer).body).IsTor, true)
    const named = ['--resolve', `cbtor.test:${portOf(service.url)}:${ADDRESS}`]
    const health = `https://cbtor.test:${portOf(service.url)}/api/v1/health`
    assert.match(await curl('--cacert', files.cert_file, ...named, ...bearer, health), /"receiving_traffic":/)

    const statusOf = async (...args: string[]) => await curlStatus('--cacert', files.cert_file, ...args)
    assert.equal(await statusOf(`${api}/api/v1/health`), '401')
    assert.equal(await statusOf('-H', 'authorization: Bearer cbt_abc_def', `${api}/api/v1/health`), '401')
    assert.equal(await statusOf(...bearer, '-H', 'host: evil.test', `${api}/api/v1/health`), '421')
    assert.equal(await statusOf(...bearer, '-H', 'origin: https://evil.test', `${api}/api/v1/health`), '403')
    assert.equal(await statusOf(`${api}/healthz`), '200')
    await assert.rejects(curl(...bearer, `${api}/api/v1/health`), /self-signed certificate/)
    await assert.rejects(curl(...bearer, `http://${ADDRESS}:${portOf(service.url)}/api/v1/health`), /Empty reply|reset/)
  })

  it('is an HTTPS proxy to http, https and onion services, with a key as the password', async () => {
    const proxy = `https://${ADDRESS}:${portOf(service.proxy.http)}`
    const by = (user: string) => ['-x', proxy, '--proxy-cacert', files.cert_file, '--proxy-user', user] as const
    const { urls, caFile } = network
    assert.match(await curl(...by(`key-alice:${key}`), `${urls.check}/api/ip`), /"IsTor":true/)
    assert.match(await curl(...by(`key-alice:${key}`), '--cacert', caFile, `${urls.httpsCheck}/api/ip`), /"IsTor":true/)
    assert.match(await curl(...by(`key-alice:${key}`), `${urls.onion}/`), /It works/)
    const codes = ['-o', '/dev/null', '-w', '%{http_code}']
    assert.equal(await curlStatus(...by('key-alice:wrong'), ...codes, `${urls.check}/api/ip`), '407')
    await assert.rejects(
      curl('-x', proxy, '--proxy-user', `x:${key}`, `${urls.check}/api/ip`),
      /self-signed certificate/,
    )
    const plain = `http://${ADDRESS}:${portOf(service.proxy.http)}`
    await assert.rejects(curl('-x', plain, '--proxy-user', `x:${key}`, `${urls.check}/api/ip`), /Empty reply|reset/)
  })

  it('is a SOCKS proxy to those who bring TLS to it', async () => {
    await using tunnel = await unwrap(portOf(service.proxy.socks), files.pem)
    const proxy = ['-x', `socks5h://127.0.0.1:${tunnel.port}`]
    assert.match(
      await curl(...proxy, '--proxy-user', `key-alice:${key}`, `${network.urls.check}/api/ip`),
      /"IsTor":true/,
    )
    await assert.rejects(curl(...proxy, '--proxy-user', 'key-alice:wrong', `${network.urls.check}/api/ip`))
  })

  it('is known to the commands on its machine by its configuration', async () => {
    const config = join(network.directory, 'exposed.yaml')
    const tls = { cert_file: files.cert_file, key_file: files.key_file }
    const at = (url?: string) => `0.0.0.0:${portOf(url)}`
    const { http, socks } = service.proxy
    const proxy = { http: at(http), socks: at(socks) }
    const workers = [{ kind: 'external', id: 'tor01', socks: '127.0.0.1:1' }]
    writeFileSync(
      config,
      JSON.stringify({ listen: at(service.url), proxy, tls, workers, state: join(network.directory, 'exposed') }),
    )

    const made = await run('keys', 'create', 'laptop', '--scope', 'proxy', '--config', config)
    const laptop = made.out.trim()
    const proxied = ['-x', `https://${ADDRESS}:${portOf(http)}`, '--proxy-cacert', files.cert_file, '--proxy-user']
    assert.match(await curl(...proxied, `:${laptop}`, `${network.urls.check}/api/ip`), /"IsTor":true/)
    const { out } = await run('doctor', '--json', '--config', config)
    const findings = JSON.parse(out).findings as { name: string; verdict: string; text: string }[]
    for (const [name, text] of [
      ['keys', /^asked for by the API and by every port/],
      ['certificate', /^for DNS:cbtor\.test, /],
      ['service', / at https:\/\/127\.0\.0\.1:\d+; /],
      ['proxy.http', / answers, and asks for a key$/],
      ['proxy.socks', / answers, and asks for a key$/],
      ['listeners', /\(listen; others reach it, by TLS and a key\)/],
    ] as const) {
      const found = findings.filter((finding) => finding.name === name)
      assert.deepEqual(
        found.map(({ verdict }) => verdict),
        ['ok'],
        JSON.stringify(found),
      )
      assert.match(found[0]?.text ?? '', text)
    }
  })

  it('is known to the commands on other machines by its address, its certificate and a key', async () => {
    const api = `https://${ADDRESS}:${portOf(service.url)}`
    const elsewhere = { PATH: process.env.PATH, HOME: network.directory, CBTOR_KEY: key }
    const trusting = { ...elsewhere, NODE_EXTRA_CA_CERTS: files.cert_file }
    const { code, out } = await runWith(trusting, 'keys', 'list', '--api', api)
    assert.equal(code, 0)
    assert.match(out, /admin/)
    assert.match((await runWith(elsewhere, 'keys', 'list', '--api', api)).err, /the service cannot be reached/)
  })

  it('shows a new certificate without failing a request, and keeps the connections that it has', async (test) => {
    const load = new Load(portOf(service.url), files.pem, key)
    const tunnel = await httpsTunnel(portOf(service.proxy.http), files.pem, key)
    await eventually(async () => load.answered > 200)
    const first = load.certificates.size
    assert.equal(first, 1)

    files.renew({ names: NAMES })
    load.trust(files.pem)
    await eventually(async () => load.certificates.size === 2)
    const then = load.answered
    await eventually(async () => load.answered > then + 200)
    await load.end()
    test.diagnostic(`${load.answered} requests, ${load.failures.length} of them failed`)
    assert.deepEqual(load.failures, [])

    tunnel.write(`GET /ip HTTP/1.1\r\nhost: ${new URL(network.urls.www).hostname}\r\n\r\n`)
    assert.match(String((await once(tunnel, 'data'))[0]), /^HTTP\/1\.1 200 /)
    tunnel.destroy()
  })

  it('stays with its certificate when the new one cannot be used, and says so', async () => {
    using other = new TestCertificate(NAMES)
    copyFileSync(other.key_file, files.key_file)
    const health = async () =>
      await curl(
        '--cacert',
        files.cert_file,
        '-H',
        `authorization: Bearer ${key}`,
        `https://${ADDRESS}:${portOf(service.url)}/api/v1/health`,
      )
    const problem = await eventually(async () =>
      JSON.parse(await health()).problems.find(({ code }: { code: string }) => code === 'certificate'),
    )
    assert.match(problem.text, /is not used: .* is not the key of the certificate/)
    files.renew({ names: NAMES })
    await eventually(async () =>
      JSON.parse(await health()).problems.every(({ code }: { code: string }) => code !== 'certificate'),
    )
  })
})

describe('a service behind something that does TLS', { timeout: 300_000 }, () => {
  it('answers to the names that it was told', async () => {
    const signal = new AbortController().signal
    await using behind = await createService(
      configOf('behind', {
        listen: '127.0.0.1:0',
        hosts: ['cbtor.test'],
        tls: 'offloaded',
        proxy: { http: 'off', socks: 'off' },
      }),
      {},
      signal,
    )
    const front = createHttpsServer((await files.tls()).context, (request, response) => {
      const { method, url, headers } = request
      const onward = httpRequest(
        { port: portOf(behind.url), host: '127.0.0.1', method, path: url, headers },
        (answer) => {
          response.writeHead(answer.statusCode ?? 0, answer.headers)
          answer.pipe(response)
        },
      )
      request.pipe(onward)
    }).listen(0, '127.0.0.1')
    await once(front, 'listening')
    try {
      const { port } = front.address() as { port: number }
      const args = ['--cacert', files.cert_file, '-H', `authorization: Bearer ${behind.adminKey}`]
      const health = (name: string) => [
        '--resolve',
        `${name}:${port}:127.0.0.1`,
        `https://${name}:${port}/api/v1/health`,
      ]
      assert.equal(await curlStatus(...args, '-H', 'host: cbtor.test', ...health('cbtor.test')), '200')
      assert.equal(await curlStatus(...args, '-H', 'host: other.test', ...health('cbtor.test')), '421')
    } finally {
      front.closeAllConnections()
      front.close()
    }
  })
})

describe('a service that would be open to others in a wrong way', { timeout: 600_000 }, () => {
  let directory: string
  before(() => {
    directory = mkdtempSync(join(tmpdir(), 'cbtor-wrong-'))
  })
  after(() => rmSync(directory, { recursive: true }))

  it('does not start, and says what would be right', async () => {
    using good = new TestCertificate()
    using open = new TestCertificate()
    chmodSync(open.key_file, 0o644)
    const tls = { cert_file: good.cert_file, key_file: good.key_file }
    const taken = join(directory, 'file')
    writeFileSync(taken, '')
    const cases: readonly (readonly [document: object, sentence: RegExp])[] = [
      [
        { listen: '0.0.0.0:0' },
        /listen: others can reach 0\.0\.0\.0:0, and keys would cross the network in the clear: expected tls with/,
      ],
      [
        { listen: '[::]:0', auth: 'off', tls },
        /listen: others can reach \[::\]:0, and would need no key: expected auth: on, or an address/,
      ],
      [
        { proxy: { socks: '0.0.0.0:0' } },
        /proxy\.socks: others can reach 0\.0\.0\.0:0, and keys would cross the network in the clear/,
      ],
      [{ proxy: { http: '0.0.0.0:0', auth: 'off' }, tls }, /proxy\.http: others can reach .* expected proxy\.auth: on/],
      [
        { listen: 'gateway.lan:1', tls },
        /listen: expected an IP address or localhost, for a name would have to be looked up/,
      ],
      [{ tls: { ...tls, cert_file: '/nowhere.pem' } }, /tls\.cert_file: \/nowhere\.pem cannot be read: ENOENT/],
      [
        { tls: { cert_file: open.cert_file, key_file: open.key_file } },
        /tls\.key_file: everybody may read .*: expected chmod o= /,
      ],
      [{ tls: { cert_file: good.cert_file, key_file: open.key_file } }, /tls\.key_file: /],
      [
        { listen: `unix:${taken}` },
        /Cannot listen on unix:.*: something is there that is not a socket; remove it, or take another path/,
      ],
      [
        { proxy: { both: `unix:${taken}` } },
        /proxy\.both: Cannot listen on unix:.*: something is there that is not a socket/,
      ],
    ]
    await each(cases.length, 3, async (n) => {
      const [document = {}, sentence = /./] = cases[n] ?? []
      const { code, err } = await up(join(directory, `case-${n}`), document)
      assert.match(err, sentence, JSON.stringify(document))
      assert.notEqual(code, 0)
      assert.doesNotMatch(err, /answers at/, JSON.stringify(document))
    })
  })
})

function configOf(state: string, exposed: object) {
  const { urls } = network
  return parseConfig(
    {
      state: join(network.directory, state),
      log: 'silent',
      workers: ['tor01', 'tor02'].map((id, index) => ({
        ...{ kind: 'local', id },
        torrc: network.clientTorrc({ client: index + 1 }),
      })),
      tor: { command: network.clientCommand(), reject_internal_addresses: network.isolation === 'namespace' },
      circuits: { rate: 10_000, burst: 10_000 },
      targets: { allow_reserved: ['203.0.113.0/24', '198.51.100.0/24'], ca_file: network.caFile },
      checks: { clearnet: [`${urls.check}/api/ip`], onion: [`${urls.onion}/`] },
      ...exposed,
    },
    {},
  )
}

function portOf(url = ''): number {
  return Number(/:(\d+)$/.exec(url)?.[1])
}

function body(url: string): string {
  return JSON.stringify({ url })
}

async function curl(...args: string[]): Promise<string> {
  const { stdout } = await promisify(execFile)('curl', ['-sS', '--fail', '-m', '30', ...args])
  return stdout
}

async function curlStatus(...args: string[]): Promise<string> {
  const run = promisify(execFile)('curl', ['-s', '-m', '30', '-o', '/dev/null', '-w', '%{http_code}', ...args])
  const { stdout } = await run
  return stdout.slice(-3)
}

/** Requests without a pause, over new connections and over one that is kept, until it is ended. */
class Load {
  readonly certificates = new Set<string>()
  readonly failures: string[] = []
  answered = 0
  readonly #port: number
  readonly #key: string
  #trusted: string[]
  #isOver = false
  readonly #running: Promise<void>[]

  constructor(port: number, pem: string, key: string) {
    this.#port = port
    this.#key = key
    this.#trusted = [pem]
    this.#running = [false, false, true, true].map((isKept) => this.#run(isKept))
  }

  trust(pem: string): void {
    this.#trusted = [...this.#trusted, pem]
  }

  async end(): Promise<void> {
    this.#isOver = true
    await Promise.all(this.#running)
  }

  async #run(isKept: boolean): Promise<void> {
    using agent = new DisposableAgent({ keepAlive: true, maxSockets: 1 })
    while (!this.#isOver) {
      await this.#ask(isKept && agent).catch((error: Error) => this.failures.push(error.message))
      this.answered++
    }
  }

  #ask(agent: Agent | false): Promise<void> {
    const options = {
      ...{ host: ADDRESS, port: this.#port, path: '/api/v1/mode', ca: this.#trusted, agent },
      headers: { authorization: `Bearer ${this.#key}` },
    }
    return new Promise((resolve, reject) => {
      const request = httpsRequest(options, (answer) => {
        const { raw } = (answer.socket as ReturnType<typeof connectTls>).getPeerCertificate()
        this.certificates.add(raw.toString('base64'))
        answer
          .resume()
          .once('end', () => (answer.statusCode === 200 ? resolve() : reject(new Error(`${answer.statusCode}`))))
      })
      request.once('error', reject).end()
    })
  }
}

class DisposableAgent extends Agent implements Disposable {
  [Symbol.dispose](): void {
    this.destroy()
  }
}

/** A tunnel to the www site by the HTTPS proxy. */
async function httpsTunnel(port: number, ca: string, password: string): Promise<Socket> {
  const socket = connectTls({ port, host: ADDRESS, ca }).on('error', () => {})
  const target = `${new URL(network.urls.www).hostname}:80`
  const credentials = Buffer.from(`:${password}`).toString('base64')
  socket.write(`CONNECT ${target} HTTP/1.1\r\nhost: ${target}\r\nproxy-authorization: basic ${credentials}\r\n\r\n`)
  assert.match(String((await once(socket, 'data'))[0]), /^HTTP\/1\.1 200 /)
  return socket
}

/** What stunnel does for a program that knows SOCKS and not TLS: a plain port on loopback. */
async function unwrap(port: number, ca: string): Promise<AsyncDisposable & { readonly port: number }> {
  const server = createServer((client) => {
    const upstream = connectTls({ port, host: ADDRESS, ca })
    client.on('error', () => upstream.destroy()).pipe(upstream)
    upstream.on('error', () => client.destroy()).pipe(client)
  }).listen(0, '127.0.0.1')
  await once(server, 'listening')
  return {
    port: (server.address() as { port: number }).port,
    [Symbol.asyncDispose]: async () => void (await new Promise((resolve) => server.close(resolve))),
  }
}

/** Starts the service as a user does; it is killed if it runs after all. */
async function up(directory: string, document: object): Promise<{ code: number | null; err: string }> {
  mkdirSync(directory)
  const config = join(directory, 'cbtor.yaml')
  const quiet = { listen: '127.0.0.1:0', proxy: { http: 'off', socks: 'off' }, tor: { command: ['false'] } }
  writeFileSync(config, JSON.stringify({ ...quiet, ...document }))
  return await run('up', '--config', config, '--state', join(directory, 'state'))
}

async function run(...args: string[]): Promise<Ended> {
  return await runWith(process.env, ...args)
}

interface Ended {
  readonly code: number | null
  readonly out: string
  readonly err: string
}

async function runWith(env: NodeJS.ProcessEnv, ...args: string[]): Promise<Ended> {
  const child = spawn(process.execPath, [join(import.meta.dirname, '../../src/main.ts'), ...args], {
    env,
    stdio: ['ignore', 'pipe', 'pipe'],
    timeout: 60_000,
    killSignal: 'SIGKILL',
  })
  const written = { out: '', err: '' }
  child.stdout.setEncoding('utf8').on('data', (text: string) => {
    written.out += text
  })
  child.stderr.setEncoding('utf8').on('data', (text: string) => {
    written.err += text
  })
  const [code] = (await once(child, 'close')) as [number | null]
  return { code, ...written }
}

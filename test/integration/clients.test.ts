/** Programs as they come, through the proxy ports: every line that docs/clients.md shows. */
import assert from 'node:assert/strict'
import { execFile } from 'node:child_process'
import { mkdtempSync, readFileSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { after, before, describe, it } from 'node:test'
import { promisify } from 'node:util'
import { Configuration, HttpCrawler, LogLevel, log, ProxyConfiguration } from '@crawlee/http'
import { ProxyAgent, fetch as undiciFetch } from 'undici'
import { type ClientLab, createClientLab } from './client-lab.ts'

let lab: ClientLab
/** Where programs write; their home, too. */
let folder: string

before(async () => {
  folder = mkdtempSync(join(tmpdir(), 'cbtor-clients-'))
  lab = await createClientLab()
})

after(async () => {
  await lab?.[Symbol.asyncDispose]()
  rmSync(folder, { recursive: true, force: true })
})

describe('curl', { timeout: 600_000 }, () => {
  const curl = (...args: string[]) => run('curl', ['-sS', '--max-time', '30', ...args])

  it('goes through the HTTP port to http, https and onion services', async () => {
    const { http, ca, urls } = lab
    const by = ['-x', `http://${http}`, '--proxy-user', `:${lab.key}`]
    assert.ok(isExit(await curl(...by, `${urls.check}/api/ip`)))
    assert.ok(isExit(await curl(...by, '--cacert', ca, `${urls.httpsCheck}/api/ip`)))
    assert.match(await curl(...by, `${urls.onion}/`), /It works/)
  })

  it('goes through the SOCKS port to http, https and onion services', async () => {
    const { socks, ca, urls } = lab
    const user = ['--proxy-user', `isolate-destination:${lab.key}`]
    assert.ok(isExit(await curl('--socks5-hostname', socks, ...user, `${urls.check}/api/ip`)))
    assert.ok(isExit(await curl('-x', `socks5h://${socks}`, ...user, '--cacert', ca, `${urls.httpsCheck}/api/ip`)))
    assert.match(await curl('--socks5-hostname', socks, ...user, `${urls.onion}/`), /It works/)
  })

  it('says by --proxy-user who it is: the same at both ports, and others are others', async () => {
    const { http, socks, urls } = lab
    const by = (proxy: readonly string[], user: string) =>
      curl(...proxy, '--proxy-user', `${user}:${lab.key}`, `${urls.check}/api/ip`)
    const ports = [
      ['-x', `http://${http}`],
      ['--socks5-hostname', socks],
    ] as const
    const exits = []
    for (const port of ports) for (let n = 0; n < 3; n++) exits.push(exitOf(await by(port, 'key-curl')))
    assert.equal(new Set(exits).size, 1, 'a key keeps its exit, by either port')
    const fresh = []
    for (let n = 0; n < 12; n++) fresh.push(exitOf(await by(ports[n % 2] ?? ports[0], 'isolate-request')))
    assert.ok(new Set(fresh).size > 1, 'each request is somebody else')
    const url = `http://key-curl;isolate-none:${lab.key}@${http}`
    await assert.rejects(curl('--fail', '-x', url, `${urls.check}/api/ip`), /400/)
  })

  it('leaves where its user name says, by either port', async () => {
    const { http, socks, urls } = lab
    const [german] = lab.exits
    for (const proxy of [
      `http://key-curl-country-de:${lab.key}@${http}`,
      `socks5h://key-curl-country-de:${lab.key}@${socks}`,
    ])
      assert.equal(exitOf(await curl('-x', proxy, `${urls.check}/api/ip`)), german?.address)
    const nowhere = await curl('-x', `http://country-jp:${lab.key}@${http}`, `${urls.check}/api/ip`)
    assert.equal(JSON.parse(nowhere).code, 'no_exit_for_country_port')
  })

  it('is told what is wrong with a user name', async () => {
    const { http, socks, urls } = lab
    const answer = await curl('-x', `http://kye-shop7:${lab.key}@${http}`, `${urls.check}/api/ip`)
    assert.equal(JSON.parse(answer).code, 'user_name_invalid')
    await assert.rejects(curl('-x', `socks5h://kye-shop7:${lab.key}@${socks}`, `${urls.check}/api/ip`), /rejected/)
  })
})

describe('wget', { timeout: 600_000 }, () => {
  // With keep-alive it says "Proxy-Connection" to https sites, through the tunnel.
  const OPTIONS = ['-q', '-O', '-', '--tries=1', '--timeout=30', '--no-http-keep-alive']
  const wget = (proxy: string, ...args: string[]) =>
    run('wget', [...OPTIONS, ...args], {
      http_proxy: proxy,
      https_proxy: proxy,
    })

  it('goes through the HTTP port to http, https and onion services', async () => {
    const { http, ca, urls } = lab
    assert.ok(isExit(await wget(`http://isolate-destination:${lab.key}@${http}`, `${urls.check}/api/ip`)))
    assert.ok(
      isExit(await wget(`http://key-wget:${lab.key}@${http}`, `--ca-certificate=${ca}`, `${urls.httpsCheck}/api/ip`)),
    )
    const given = ['--proxy-user=key-wget', `--proxy-password=${lab.key}`]
    assert.match(await wget(`http://${http}`, ...given, `${urls.onion}/`), /It works/)
  })
})

describe('git', { timeout: 600_000 }, () => {
  it('clones through either port, by http and https', async () => {
    const { http, socks, ca, urls } = lab
    let count = 0
    for (const proxy of [`http://key-git:${lab.key}@${http}`, `socks5h://key-git:${lab.key}@${socks}`])
      for (const site of [urls.www, urls.httpsWww]) {
        const clone = join(folder, `clone${count++}`)
        await run('git', [
          '-c',
          `http.proxy=${proxy}`,
          '-c',
          `http.sslCAInfo=${ca}`,
          'clone',
          '-q',
          `${site}/repository.git`,
          clone,
        ])
        assert.match(readFileSync(join(clone, 'README.md'), 'utf8'), /inside the private Tor network/)
      }
  })
})

describe("Python's requests", { timeout: 600_000 }, () => {
  const PROGRAM = `
import sys, requests

proxy, ca, *urls = sys.argv[1:]
session = requests.Session()
session.proxies = {"http": proxy, "https": proxy}
session.verify = ca
for url in urls:
    print(session.get(url, timeout=30).text.strip())
`

  it('goes through either port to http, https and onion services, as one who stays the same', async () => {
    const { http, socks, ca, urls } = lab
    const pages = [`${urls.check}/api/ip`, `${urls.httpsCheck}/api/ip`, `${urls.onion}/ip`]
    const exits = []
    for (const proxy of [`http://key-python:${lab.key}@${http}`, `socks5h://key-python:${lab.key}@${socks}`]) {
      const answers = (await run('/usr/bin/python3', ['-c', PROGRAM, proxy, ca, ...pages])).trim().split('\n')
      assert.equal(answers.length, 3)
      exits.push(...answers.slice(0, 2).map(exitOf))
      assert.match(answers[2] ?? '', /"ip"/)
    }
    assert.equal(new Set(exits).size, 1)
  })
})

describe("undici's ProxyAgent, and Node by itself", { timeout: 600_000 }, () => {
  it('goes through the HTTP port to http, https and onion services', async () => {
    const { http, ca, urls } = lab
    const requestTls = { ca: readFileSync(ca, 'utf8') }
    await using dispatcher = closing(new ProxyAgent({ uri: `http://key-undici:${lab.key}@${http}`, requestTls }))
    const text = async (url: string) => await (await undiciFetch(url, { dispatcher: dispatcher.agent })).text()
    const exits = [await text(`${urls.check}/api/ip`), await text(`${urls.httpsCheck}/api/ip`)].map(exitOf)
    assert.equal(new Set(exits).size, 1)
    assert.match(await text(`${urls.onion}/`), /It works/)
  })

  it('does so by the environment alone, where Node is told to heed it', async () => {
    const { http, ca, urls } = lab
    const proxy = `http://key-node:${lab.key}@${http}`
    const program = 'for (const url of process.argv.slice(1)) console.log(await (await fetch(url)).text())'
    const answers = await run(
      process.execPath,
      ['--input-type=module', '-e', program, `${urls.check}/api/ip`, `${urls.httpsCheck}/api/ip`],
      {
        NODE_USE_ENV_PROXY: '1',
        HTTP_PROXY: proxy,
        HTTPS_PROXY: proxy,
        NODE_EXTRA_CA_CERTS: ca,
      },
    )
    assert.equal(new Set(answers.trim().split(/\n+/).map(exitOf)).size, 1)
  })
})

describe('crawlee', { timeout: 600_000 }, () => {
  it('gives each of its sessions an identity of its own, by the user name that its proxy configuration makes', async () => {
    const { http, urls } = lab
    log.setLevel(LogLevel.OFF)
    const proxyConfiguration = new ProxyConfiguration({
      newUrlFunction: (sessionId) => `http://key-${sessionId}:${lab.key}@${http}`,
    })
    const seen: { session: string; url: string; body: string }[] = []
    const failures: string[] = []
    const crawler = new HttpCrawler(
      {
        proxyConfiguration,
        useSessionPool: true,
        sessionPoolOptions: { maxPoolSize: 3 },
        maxConcurrency: 3,
        maxRequestRetries: 0,
        additionalMimeTypes: ['application/json'],
        requestHandler: async ({ request, body, session }) => {
          seen.push({
            session: session?.id ?? '',
            url: request.url,
            body: String(body),
          })
        },
        failedRequestHandler: async ({ request }, error) => {
          failures.push(`${request.url}: ${error.message}`)
        },
      },
      new Configuration({ persistStorage: false }),
    )
    const pages = Array.from({ length: 9 }, (_, n) => `${n % 2 ? urls.httpsCheck : urls.check}/api/ip?page=${n}`)
    await crawler.run([...pages, `${urls.onion}/ip`])
    assert.deepEqual(failures, [])
    assert.equal(seen.length, 10)
    const bySession = Map.groupBy(
      seen.filter(({ url }) => !url.includes('.onion')),
      ({ session }) => session,
    )
    for (const [session, answers] of bySession)
      assert.equal(new Set(answers.map(({ body }) => exitOf(body))).size, 1, `${session} has one exit`)
  })
})

describe('the sites', () => {
  it('saw nothing that tells of a proxy, of its clients or of their names', async () => {
    const requests = await lab.network.requests()
    assert.ok(requests.length > 30)
    for (const { rawHeaders, path } of requests)
      for (const [name, value] of rawHeaders) {
        assert.doesNotMatch(name, /^(?:proxy-.*|via|forwarded|x-forwarded-.*|x-real-ip|x-cbtor-.*|keep-alive)$/i, path)
        assert.doesNotMatch(value, /key-(?:curl|wget|git|python|undici|node)|cbt_|127\.0\.0\.1/, path)
      }
  })
})

/** Runs a program to its end and resolves with what it printed. Nothing of this process's environment reaches it but PATH. */
async function run(
  program: string,
  args: readonly string[],
  env: Readonly<Record<string, string>> = {},
): Promise<string> {
  const clean = {
    PATH: process.env.PATH,
    HOME: folder,
    GIT_CONFIG_NOSYSTEM: '1',
    ...env,
  }
  const { stdout } = await promisify(execFile)(program, [...args], {
    env: clean,
    timeout: 45_000,
  })
  return stdout
}

function isExit(answer: string): boolean {
  return lab.exits.some(({ address }) => address === exitOf(answer))
}

/** The address that the check site saw. Throws when that was no exit. */
function exitOf(answer: string): string {
  const { IsTor: isTor, IP: address } = JSON.parse(answer) as {
    IsTor: boolean
    IP: string
  }
  assert.equal(isTor, true, answer)
  return address
}

function closing(agent: ProxyAgent): AsyncDisposable & { readonly agent: ProxyAgent } {
  return { agent, [Symbol.asyncDispose]: () => agent.destroy() }
}

/** Debian's Chromium through the proxy ports, as docs/clients.md has it. */
import assert from 'node:assert/strict'
import { existsSync, readFileSync } from 'node:fs'
import { after, before, describe, it } from 'node:test'
import { type Browser, type BrowserContextOptions, chromium, type LaunchOptions, type Page } from 'playwright-core'
import { type ClientLab, createClientLab, createLockedProxy } from './client-lab.ts'

type Proxy = NonNullable<BrowserContextOptions['proxy']>

const EXECUTABLE = ['/usr/bin/chromium', '/usr/bin/chromium-browser'].find((path) => existsSync(path))

/** Nothing that Chromium does by itself, no QUIC, and no name that it looks up by itself. */
const ARGUMENTS = [
  '--disable-background-networking',
  '--disable-component-update',
  '--disable-sync',
  '--no-first-run',
  '--disable-quic',
  '--host-resolver-rules=MAP * ~NOTFOUND , EXCLUDE 127.0.0.1',
  '--force-webrtc-ip-handling-policy=disable_non_proxied_udp',
]

/** Another identity may get the same exit by chance; so many draws make that most unlikely. */
const MAX_DRAWS = 16

let lab: ClientLab

before(async () => {
  lab = await createClientLab('off')
})

after(async () => {
  await lab?.[Symbol.asyncDispose]()
})

describe('Chromium', { timeout: 600_000 }, () => {
  it('does what a browser does through the HTTP port', async () => {
    await browse({ server: `http://${lab.http}` }, browseAround)
  })

  it('does the same through the SOCKS port, which it tells nobody who it is', async () => {
    await browse({ server: `socks5://${lab.socks}` }, browseAround)
  })

  it('is who it says to an HTTP port that asks, each context by itself', async () => {
    await using locked = await createLockedProxy(lab.network)
    const { http, password } = locked
    await using browser = await launch({ server: `http://${http}` })
    const exitsOf = async (username: string, sites: readonly string[]) => {
      const proxy = { server: `http://${http}`, username, password }
      const context = await browser.it.newContext({
        proxy,
        ignoreHTTPSErrors: true,
      })
      const page = await context.newPage()
      const exits = []
      for (const site of sites) {
        await page.goto(`${site}/api/ip`)
        exits.push(JSON.parse(await page.innerText('body')).IP)
      }
      await context.close()
      return exits
    }
    const { check, httpsCheck } = lab.urls
    const first = await exitsOf('key-browser0', [check, httpsCheck, check])
    assert.equal(new Set(first).size, 1)
    assert.deepEqual(await exitsOf('key-browser0', [check, httpsCheck, check]), first)
    for (let n = 1; (await exitsOf(`key-browser${n}`, [check]))[0] === first[0]; n++)
      assert.ok(n < MAX_DRAWS, 'others are others')
  })

  it('shows why a page cannot be had', async () => {
    await browse({ server: `http://${lab.http}` }, async (page) => {
      const answer = await page.goto(lab.urls.nowhere)
      assert.equal(answer?.status(), 502)
      assert.match(await page.innerText('body'), /resolve_failed/)
      await assert.rejects(page.goto(lab.urls.refused.replace('http:', 'https:')), /ERR_TUNNEL_CONNECTION_FAILED/)
    })
  })
})

/** Pages by http, https and of an onion service; WebSockets; a download. */
async function browseAround(page: Page): Promise<void> {
  const { urls } = lab
  for (const site of [urls.www, urls.httpsWww, urls.onion]) {
    await page.goto(`${site}/`)
    assert.equal(await page.title(), 'The CBTOR test network', site)
    assert.equal(await echo(page, `${site.replace(/^http/, 'ws')}/echo`, `hello, ${site}`), `hello, ${site}`)
  }
  // The WebSocket of a page by https has to be safe, too; so that of http comes first.
  const started = page.waitForEvent('download')
  await page.goto(`${urls.www}/bytes/3000000?seed=browser`).catch(() => {}) // it becomes a download, and no page
  const path = await (await started).path()
  assert.equal(readFileSync(path).length, 3_000_000)
}

/** What comes back when the page sends `message` by WebSocket. */
async function echo(page: Page, url: string, message: string): Promise<string> {
  return await page.evaluate(
    ([to = '', text = '']) =>
      new Promise<string>((resolve, reject) => {
        const socket = new WebSocket(to)
        socket.onopen = () => socket.send(text)
        socket.onmessage = ({ data }) => {
          resolve(data)
          socket.close()
        }
        socket.onclose = ({ code }) => reject(new Error(`closed with ${code}`))
      }),
    [url, message],
  )
}

async function browse(proxy: Proxy, work: (page: Page) => Promise<void>): Promise<void> {
  await using browser = await launch(proxy)
  await work(await browser.it.newPage({ ignoreHTTPSErrors: true }))
}

async function launch(proxy: Proxy): Promise<AsyncDisposable & { readonly it: Browser }> {
  const options: LaunchOptions = {
    proxy,
    args: ARGUMENTS,
    chromiumSandbox: false,
  }
  const it = await chromium.launch({
    ...options,
    ...(EXECUTABLE && { executablePath: EXECUTABLE }),
  })
  return { it, [Symbol.asyncDispose]: () => it.close() }
}

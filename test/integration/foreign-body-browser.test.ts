/** What a target sent, met by a browser at `/api/v1/fetch/raw` of an API that asks for no keys. */
import assert from 'node:assert/strict'
import { once } from 'node:events'
import { existsSync } from 'node:fs'
import { createServer } from 'node:http'
import type { AddressInfo } from 'node:net'
import { after, before, describe, it } from 'node:test'
import { type Browser, chromium } from 'playwright-core'
import { fakeStream } from '../../src/api/fake-backend.ts'
import { startServer } from '../../src/api/test-server.ts'

const EXECUTABLE = ['/usr/bin/chromium', '/usr/bin/chromium-browser'].find((path) => existsSync(path))

/** A site of somebody's, which writes down whoever calls it. */
async function startSite() {
  const calls: string[] = []
  const server = createServer(({ url = '' }, response) => {
    if (url !== '/') calls.push(url)
    response.writeHead(200, { 'content-type': 'text/html', 'access-control-allow-origin': '*' }).end('<p>a site</p>')
  })
  await once(server.listen(0, '127.0.0.1'), 'listening')
  return {
    calls,
    url: `http://127.0.0.1:${(server.address() as AddressInfo).port}`,
    [Symbol.dispose]: () => void server.close().closeAllConnections(),
  }
}

/** Documents of every type that runs scripts, each of which calls the site. */
function documentsThatCall(site: string): Readonly<Record<string, string>> {
  const script = `fetch('${site}/script'); new Image().src = '${site}/image'`
  return {
    'text/html': `<script>${script}</script><img src="${site}/markup">`,
    'image/svg+xml': `<svg xmlns="http://www.w3.org/2000/svg"><script>${script}</script></svg>`,
    'application/xhtml+xml': `<html xmlns="http://www.w3.org/1999/xhtml"><script>${script}</script></html>`,
    'multipart/x-mixed-replace; boundary=b': `--b\r\nContent-Type: text/html\r\n\r\n<script>${script}</script>\r\n--b--`,
    '': `<script>${script}</script>`,
    'text/javascript': script,
  }
}

/** What a page can do, as a script for it: whether each of its attempts came to something. */
function attemptsAt(url: string, mode: string): string {
  return `(async () => {
    const told = (promise) => promise.then(() => 'loaded', () => 'failed')
    const load = (name, fields) => told(new Promise((onload, onerror) => {
      document.body.append(Object.assign(document.createElement(name), { ...fields, onload, onerror }))
    }))
    const url = ${JSON.stringify(url)}
    return await Promise.all([
      load('script', { src: url }),
      load('img', { src: url }),
      load('link', { rel: 'stylesheet', href: url }),
      told(fetch(url)),
      told(fetch(${JSON.stringify(mode)}, { method: 'POST', mode: 'no-cors', body: '{"mode":"random"}' })),
    ])
  })()`
}

describe('what a target sent', { timeout: 300_000 }, () => {
  let browser: Browser

  before(async () => {
    browser = await chromium.launch({ chromiumSandbox: false, ...(EXECUTABLE && { executablePath: EXECUTABLE }) })
  })

  after(() => browser.close())

  it('is a download to who goes there: it is not shown, runs nothing and sets nothing', async () => {
    using site = await startSite()
    await using running = await startServer()
    const context = await browser.newContext()
    for (const [type, text] of Object.entries(documentsThatCall(site.url))) {
      for (const status of [200, 404]) {
        running.backend.streamed = async (request) =>
          fakeStream(request, [Buffer.from(text)], {
            status,
            headers: [
              ...(type === '' ? [] : ([['content-type', type]] as const)),
              ['content-disposition', 'inline'],
              ['set-cookie', 'a=b; Path=/'],
              ['refresh', `0;url=${site.url}/refresh`],
              ['link', `<${site.url}/link>; rel=preload; as=image`],
              ['content-security-policy-report-only', `default-src 'none'; report-uri ${site.url}/report`],
            ],
          })
        const page = await context.newPage()
        // What is not found is no download either.
        const download = status === 200 ? page.waitForEvent('download') : undefined
        await assert.rejects(
          page.goto(`${running.url}/api/v1/fetch/raw?url=http://example.com/`),
          /Download is starting/,
        )
        await (await download)?.path()
        await page.close()
      }
    }
    assert.equal(running.backend.requests.length, 12)
    assert.deepEqual([site.calls, await context.cookies()], [[], []])
    await context.close()
  })

  it('is not to be had by the page of another site, whatever it makes the browser do', async () => {
    using site = await startSite()
    await using running = await startServer()
    const before = running.backend.mode()
    const page = await browser.newPage()
    await page.goto(site.url)
    const url = `${running.url}/api/v1/fetch/raw?url=http://example.com/`
    const outcomes = await page.evaluate<readonly string[]>(attemptsAt(url, `${running.url}/api/v1/mode`))
    assert.deepEqual(new Set(outcomes), new Set(['failed']))
    await page.setContent(`<a href="${url}">a link</a>`)
    const [refused] = await Promise.all([page.waitForResponse(url), page.click('a')])
    assert.equal(refused.status(), 403)
    assert.deepEqual([running.backend.requests, running.backend.mode()], [[], before])
  })
})

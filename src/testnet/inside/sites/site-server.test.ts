import assert from 'node:assert/strict'
import { createConnection } from 'node:net'
import { buffer } from 'node:stream/consumers'
import { describe, it } from 'node:test'
import { brotliDecompressSync, gunzipSync, inflateSync } from 'node:zlib'
import { systemClock } from '../../../lib/clock.ts'
import { checkRoutes } from './check.ts'
import type { Routes } from './exchange.ts'
import { faultRoutes } from './faults.ts'
import { RequestLog } from './request-log.ts'
import { SiteServer } from './site-server.ts'
import { wwwRoutes } from './www.ts'

describe('the www site', { timeout: 20_000 }, () => {
  it('serves seeded bytes: as many as asked, the same for the same seed', async () => {
    await using site = await open(wwwRoutes)
    const bytes = async (path: string) => Buffer.from(await (await fetch(site.url + path)).arrayBuffer())
    const first = await bytes('/bytes/200000?seed=a')
    assert.equal(first.length, 200_000)
    assert.deepEqual(await bytes('/bytes/200000?seed=a'), first)
    assert.notDeepEqual(await bytes('/bytes/200000?seed=b'), first)
    assert.equal((await bytes('/bytes/0')).length, 0)
  })

  it('says what is wrong with a request that it cannot answer', async () => {
    await using site = await open(wwwRoutes)
    for (const path of ['/bytes/-1', '/bytes/104857601', '/bytes/x', '/status/99', '/delay/1e9', '/redirect-to']) {
      const answer = await fetch(site.url + path)
      assert.equal(answer.status, 400, path)
      assert.match(await answer.text(), /^Cannot /)
    }
    assert.equal((await fetch(`${site.url}/no-such-page`)).status, 404)
  })

  it('echoes method, headers, body and source', async () => {
    await using site = await open(wwwRoutes)
    const answer = await fetch(`${site.url}/anything/here?x=1`, {
      method: 'PUT',
      body: 'hällo',
      headers: { 'X-Mixed': '1' },
    })
    const echo = (await answer.json()) as Record<string, string> & { headers: Record<string, string> }
    assert.equal(echo.method, 'PUT')
    assert.equal(echo.url, `${site.url}/anything/here?x=1`)
    assert.equal(echo.body, 'hällo')
    assert.equal(Buffer.from(echo.bodyBase64 ?? '', 'base64').toString(), 'hällo')
    assert.equal(echo.headers['x-mixed'], '1')
    assert.equal(echo.sourceAddress, '127.0.0.1')
  })

  it('redirects as often as asked, and anywhere', async () => {
    await using site = await open(wwwRoutes)
    assert.deepEqual(await (await fetch(`${site.url}/redirect/3`)).json(), { arrived: true })
    const answer = await fetch(`${site.url}/redirect-to?url=ftp://x/&status=308`, { redirect: 'manual' })
    assert.equal(answer.status, 308)
    assert.equal(answer.headers.get('location'), 'ftp://x/')
  })

  it('sets cookies and shows those that it gets', async () => {
    await using site = await open(wwwRoutes)
    const set = await fetch(`${site.url}/cookies/set?a=1&b=two`, { redirect: 'manual' })
    assert.deepEqual(set.headers.getSetCookie(), ['a=1; Path=/', 'b=two; Path=/'])
    const shown = await fetch(`${site.url}/cookies`, { headers: { cookie: 'a=1; b=x=y' } })
    assert.deepEqual(await shown.json(), { cookies: { a: '1', b: 'x=y' } })
  })

  it('compresses with what the path says', async () => {
    await using site = await open(wwwRoutes)
    const inflate = { gzip: gunzipSync, deflate: inflateSync, brotli: brotliDecompressSync }
    for (const [path, decode] of Object.entries(inflate)) {
      const { rawBody, headers } = await site.raw(`/${path}`)
      assert.match(headers, new RegExp(`content-encoding: ${path === 'brotli' ? 'br' : path}\r\n`, 'i'))
      assert.match(decode(rawBody).toString(), /"encoding"/)
    }
  })

  it('answers 304 to whoever has the page, and any status asked for', async () => {
    await using site = await open(wwwRoutes)
    const etag = (await fetch(`${site.url}/etag`)).headers.get('etag') ?? ''
    assert.equal((await fetch(`${site.url}/etag`, { headers: { 'if-none-match': etag } })).status, 304)
    for (const status of [200, 204, 418, 503]) {
      assert.equal((await fetch(`${site.url}/status/${status}`)).status, status)
    }
  })

  it('answers with the headers that it was asked for, and asks for credentials', async () => {
    await using site = await open(wwwRoutes)
    const { headers } = await fetch(`${site.url}/response-headers?Alt-Svc=h3=%22:443%22&x-one=1`)
    assert.deepEqual([headers.get('alt-svc'), headers.get('x-one')], ['h3=":443"', '1'])
    const challenge = await fetch(`${site.url}/basic-auth`)
    assert.deepEqual([challenge.status, challenge.headers.get('www-authenticate')], [401, 'Basic realm="cbtor-test"'])
    const answer = await fetch(`${site.url}/basic-auth`, { headers: { authorization: 'Basic eA==' } })
    assert.deepEqual(await answer.json(), { authorization: 'Basic eA==' })
  })

  it('drips a slow body and answers late, completely', async () => {
    await using site = await open(wwwRoutes)
    assert.equal((await (await fetch(`${site.url}/drip?bytes=1001&ms=20`)).text()).length, 1001)
    assert.deepEqual(await (await fetch(`${site.url}/delay/5`)).json(), { delayMs: 5 })
  })

  it('keeps the headers of a request as they came, and counts connections', async () => {
    await using site = await open(wwwRoutes)
    await site.raw('/ip', 'X-One: 1\r\nx-ONE: 2\r\n')
    await site.raw('/ip')
    const [first, second] = site.log.entries
    assert.deepEqual(first?.rawHeaders.slice(-2), [
      ['X-One', '1'],
      ['x-ONE', '2'],
    ])
    assert.equal(first?.sourceAddress, '127.0.0.1')
    assert.equal(first?.tls, false)
    assert.deepEqual([first?.serverName, first?.alpn], ['', ''])
    assert.ok(first && second && first.at <= second.at)
    assert.notEqual(first?.connectionId, second?.connectionId)
  })
})

describe('the check site', { timeout: 20_000 }, () => {
  it('answers in the words of check.torproject.org', async () => {
    await using fromExit = await open(checkRoutes(['127.0.0.1']))
    assert.equal(await (await fetch(`${fromExit.url}/api/ip`)).text(), '{"IsTor":true,"IP":"127.0.0.1"}\n')
    await using fromElsewhere = await open(checkRoutes(['203.0.113.21']))
    assert.deepEqual(await (await fetch(`${fromElsewhere.url}/api/ip`)).json(), { IsTor: false, IP: '127.0.0.1' })
  })
})

describe('faults', { timeout: 20_000 }, () => {
  it('end the connection without an answer', async () => {
    await using site = await open(faultRoutes)
    await assert.rejects(fetch(`${site.url}/close`))
    await assert.rejects(fetch(`${site.url}/reset`))
  })

  it('answer with something that is not HTTP', async () => {
    await using site = await open(faultRoutes)
    await assert.rejects(fetch(`${site.url}/garbage`))
  })

  it('break a body off', async () => {
    await using site = await open(faultRoutes)
    const { headers, rawBody } = await site.raw('/truncate')
    assert.match(headers, /content-length: 1000\r\n/i)
    assert.equal(rawBody.toString(), 'only this\n')
  })

  it('send a little that becomes a lot', async () => {
    await using site = await open(faultRoutes)
    const answer = await fetch(`${site.url}/bomb?mib=8`)
    assert.equal((await answer.arrayBuffer()).byteLength, 8 * 1024 * 1024)
  })

  it('never end, until the client does', async () => {
    await using site = await open(faultRoutes)
    const reader = (await fetch(`${site.url}/endless`)).body?.getReader()
    let received = 0
    while (received < 1024 * 1024) received += (await reader?.read())?.value?.length ?? 0
    await reader?.cancel()
    assert.ok(received >= 1024 * 1024)
  })
})

async function open(routes: Routes) {
  const log = new RequestLog(systemClock)
  const server = await SiteServer.listen({
    name: 'site',
    routes,
    address: '127.0.0.1',
    port: 0,
    log,
    clock: systemClock,
  })
  const url = `http://127.0.0.1:${server.port}`
  return {
    url,
    log,
    /** One request over its own connection, answered byte by byte as it came. */
    async raw(path: string, headerLines = '') {
      const socket = createConnection({ host: '127.0.0.1', port: server.port })
      socket.write(`GET ${path} HTTP/1.1\r\nHost: site\r\nConnection: close\r\n${headerLines}\r\n`)
      const answer = await buffer(socket)
      const end = answer.indexOf('\r\n\r\n')
      return { headers: `${answer.subarray(0, end)}\r\n`, rawBody: answer.subarray(end + 4) }
    },
    [Symbol.asyncDispose]: () => server[Symbol.asyncDispose](),
  }
}

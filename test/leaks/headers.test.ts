import assert from 'node:assert/strict'
import { before, describe, it } from 'node:test'
import { problemOf } from '../asking.ts'
import type { Gateway } from './gateway.ts'
import { type LeakLab, sharedLab } from './leak-lab.ts'

/** All that a target learns from a request that says nothing of headers, in this order. The documented set: docs/fetch.md. */
const DEFAULT_HEADERS = [
  ['host', 'www.cbtor.test'],
  ['connection', 'keep-alive'],
  ['user-agent', 'Mozilla/5.0 (Windows NT 10.0; Win64; x64; rv:140.0) Gecko/20100101 Firefox/140.0'],
  ['accept', 'text/html,application/xhtml+xml,application/xml;q=0.9,*/*;q=0.8'],
  ['accept-language', 'en-US,en;q=0.5'],
  ['accept-encoding', 'gzip, deflate, br, zstd'],
]

/** What tells of a client behind a proxy, or is for a proxy and not for the target. */
const FOR_PROXIES = [
  ...['X-Forwarded-For', 'X-Forwarded-Host', 'X-Forwarded-Proto', 'Forwarded', 'Via', 'X-Real-IP', 'Client-IP'],
  ...['True-Client-IP', 'Proxy-Authorization', 'Proxy-Connection', 'Proxy-Authenticate', 'Connection', 'Keep-Alive'],
  ...['TE', 'Trailer', 'Upgrade', 'Tor-Stream-Isolation', 'X-Tor-Stream-Isolation', 'X-Tor-Anything'],
  ...['X-CBTOR-Key', 'X-CBTOR-Anything', 'x-forwarded-FOR'],
]

describe('headers', { timeout: 600_000 }, () => {
  let lab: LeakLab
  let gateway: Gateway
  before(async () => {
    ;({ lab, gateway } = await sharedLab())
  })

  it('L31: headers of proxies and of ours are refused by the API, before any Tor hears of the request', async () => {
    const watch = await lab.watch()
    const mark = gateway.circuits.streams.length
    for (const name of FOR_PROXIES) {
      const url = 'http://l31.cbtor.test/anything/l31'
      const { code } = await problemOf(gateway.api.fetch({ url, headers: { [name]: 'l31-secret' } }))
      assert.equal(code, 'header_forbidden', name)
    }
    await gateway.circuits.settle()
    assert.deepEqual(
      gateway.circuits.since(mark).filter(({ host }) => host === 'l31.cbtor.test'),
      [],
    )
    assert.deepEqual(await watch.requests('l31'), [])
  })

  it('L31: what a caller says to the API goes no further', async () => {
    const watch = await lab.watch()
    const answer = await fetch(`${gateway.url}/api/v1/fetch`, {
      method: 'POST',
      headers: {
        'content-type': 'application/json',
        authorization: 'Bearer l31-api-key',
        'x-forwarded-for': '192.0.2.99',
        'x-request-id': 'l31-request',
        cookie: 'l31=api',
      },
      body: JSON.stringify({ url: `${lab.network.urls.www}/anything/l31-api` }),
    })
    assert.equal(answer.status, 200)
    await answer.arrayBuffer()
    const [request] = await watch.requests('anything/l31-api')
    assert.doesNotMatch(JSON.stringify(request?.rawHeaders), /l31-api-key|192\.0\.2\.99|l31-request|l31=api/)
  })

  it('L32: the default headers are one fixed list, the same by http, https and onion, and in every mode', async () => {
    const { www, httpsWww, onion } = lab.network.urls
    for (const [base, host] of [[www], [httpsWww], [onion, new URL(onion).hostname]] as const) {
      for (const more of [{}, { sticky_key: 'l32' }, { isolation: 'request' }, { mode: 'random' }] as const) {
        const watch = await lab.watch()
        await gateway.api.fetch({ url: `${base}/anything/l32`, ...more })
        const [request] = await watch.requests('anything/l32')
        const seen = request?.rawHeaders.map(([name, value]) => [name.toLowerCase(), value])
        assert.deepEqual(seen, [['host', host ?? 'www.cbtor.test'], ...DEFAULT_HEADERS.slice(1)], base)
      }
    }
  })

  it('L33: the API writes names in lower case and in a fixed order, whatever the caller did', async () => {
    const watch = await lab.watch()
    const url = `${lab.network.urls.www}/anything/l33`
    await gateway.api.fetch({ url, headers: { 'X-Last': '1', ACCEPT: 'text/plain', 'X-first': '2' } })
    const [request] = await watch.requests('anything/l33')
    assert.deepEqual(request?.rawHeaders.map(([name]) => name).slice(2), [
      'user-agent',
      'accept',
      'accept-language',
      'accept-encoding',
      'x-last',
      'x-first',
    ])
  })

  it("L40: a target's headers stay inside the answer's body, whatever they are called", async () => {
    const forged = {
      'X-CBTOR-Error': 'forged',
      'X-CBTOR-Worker': 'forged',
      'Set-Cookie': 'forged=1',
      'Access-Control-Allow-Origin': '*',
      'Content-Security-Policy': 'forged',
      'Clear-Site-Data': '"*"',
      Server: 'forged',
      Via: 'forged',
    }
    const url = `${lab.network.urls.www}/response-headers?${new URLSearchParams(forged)}`
    const answer = await fetch(`${gateway.url}/api/v1/fetch`, {
      method: 'POST',
      headers: { 'content-type': 'application/json' },
      body: JSON.stringify({ url }),
    })
    const ours = JSON.stringify([...answer.headers])
    const inside = ((await answer.json()) as { headers: Record<string, unknown> }).headers
    assert.doesNotMatch(ours, /forged|access-control|clear-site-data/i)
    assert.equal(inside['x-cbtor-error'], 'forged')
  })

  it('L41: fetched HTML comes as JSON, which no browser renders, with rules that let nothing be loaded', async () => {
    for (const encoding of ['auto', 'text', 'base64']) {
      const answer = await fetch(`${gateway.url}/api/v1/fetch`, {
        method: 'POST',
        headers: { 'content-type': 'application/json' },
        body: JSON.stringify({ url: `${lab.network.urls.www}/`, response_encoding: encoding }),
      })
      await answer.arrayBuffer()
      assert.match(answer.headers.get('content-type') ?? '', /^application\/json/)
      assert.equal(answer.headers.get('x-content-type-options'), 'nosniff')
      assert.match(answer.headers.get('content-security-policy') ?? '', /default-src 'none'/)
    }
  })

  it('L42: the documents load what this service itself serves, and nothing else', async () => {
    const watch = await lab.watch()
    for (const page of ['/docs', '/redoc', '/']) {
      const answer = await fetch(`${gateway.url}${page}`, { headers: { accept: 'text/html' } })
      assert.match(answer.headers.get('content-type') ?? '', /^text\/html/, page)
      const html = await answer.text()
      for (const [, loaded = ''] of html.matchAll(/<(?:script|link|img|iframe)\b[^>]*\b(?:src|href)="([^"]+)"/g)) {
        const url = new URL(loaded, answer.url)
        if (url.protocol === 'data:') continue
        assert.equal(url.origin, gateway.url, `${page} loads ${loaded}`)
        const asset = await fetch(url)
        await asset.arrayBuffer()
        assert.equal(asset.status, 200, loaded)
      }
      // And a browser would hold it to that.
      const rules = answer.headers.get('content-security-policy') ?? ''
      assert.match(rules, /default-src 'none'/, page)
      assert.doesNotMatch(rules, /https?:|\*/, page)
    }
    await watch.nothingLeaked()
  })
})

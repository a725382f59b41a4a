import assert from 'node:assert/strict'
import { describe, it } from 'node:test'
import type { ResponseHead } from './exchange.ts'
import type { HeaderList } from './headers.ts'
import { type Hop, isRedirect, nextHop, type RedirectRules } from './redirect.ts'
import { createTargetPolicy } from './target-policy.ts'

const ONION = 'duckduckgogg42xjoc72x3sjasowoarfbgcmvfimaftt6twagswzczad.onion'
const policy = createTargetPolicy()
const STRICT: RedirectRules = { allowDowngrade: false, allowOnionToClearnet: false }

describe('nextHop()', () => {
  it('reads locations as a browser does', () => {
    const cases: [location: string, url: string][] = [
      ['https://b.test/x', 'https://b.test/x'],
      ['/x?y', 'https://a.test/x?y'],
      ['x', 'https://a.test/dir/x'],
      ['?q', 'https://a.test/dir/page?q'],
      ['//b.test:8443', 'https://b.test:8443/'],
      ['https://b.test./', 'https://b.test/'],
      ['', 'https://a.test/dir/page?old'],
      ['\u00c3\u00a9', 'https://a.test/dir/%C3%A9'],
      [`https://${ONION}./`, `https://${ONION}/`],
    ]
    for (const [location, url] of cases)
      assert.equal(follow(hop('https://a.test/dir/page?old'), 302, location).to.url.href, url)
  })

  it('keeps the fragment unless the location brings its own', () => {
    assert.equal(follow(hop('https://a.test/#f'), 302, '/x').to.url.href, 'https://a.test/x#f')
    assert.equal(follow(hop('https://a.test/#f'), 302, '/x#g').to.url.href, 'https://a.test/x#g')
  })

  it('keeps or changes the method as the Fetch Standard says, and drops the body with its headers', () => {
    const cases: [status: number, method: string, then: string][] = [
      [301, 'POST', 'GET'],
      [301, 'PUT', 'PUT'],
      [301, 'HEAD', 'HEAD'],
      [302, 'POST', 'GET'],
      [302, 'DELETE', 'DELETE'],
      [303, 'POST', 'GET'],
      [303, 'PUT', 'GET'],
      [303, 'HEAD', 'HEAD'],
      [303, 'GET', 'GET'],
      [307, 'POST', 'POST'],
      [308, 'PUT', 'PUT'],
    ]
    for (const [status, method, then] of cases) {
      const before = hop('https://a.test/', {
        method,
        body: Buffer.from('x'),
        headers: [['content-type', 'text/plain']],
      })
      const after = follow(before, status, '/')
      assert.equal(after.method, then, `${status} ${method}`)
      const isKept = then === method
      assert.equal(after.body !== undefined, isKept, `${status} ${method}`)
      assert.equal(after.headers.length, isKept ? 1 : 0, `${status} ${method}`)
    }
  })

  it('drops what is of the origin when it changes, and only then', () => {
    const headers: HeaderList = [
      ...(['authorization', 'cookie', 'referer', 'origin'] as const).map((name) => [name, 'secret'] as const),
      ['accept', 'text/html'],
    ]
    const namesAt = (location: string) => follow(hop('http://a.test/', { headers }), 307, location).headers.length
    assert.equal(namesAt('/x'), 5)
    assert.equal(namesAt('http://a.test:80/x'), 5)
    for (const other of ['http://b.test/', 'https://a.test/', 'http://a.test:81/', 'http://x.a.test/']) {
      assert.equal(namesAt(other), 1, other)
    }
    const there = follow(hop('http://a.test/', { headers }), 302, 'http://b.test/')
    assert.deepEqual(
      follow(there, 302, 'http://a.test/').headers,
      [['accept', 'text/html']],
      'not even on the way back',
    )
  })

  it('refuses to leave https, and an onion service, unless told to', () => {
    assertForbidden('https://a.test/', 'http://a.test/')
    assertForbidden(`http://${ONION}/`, 'http://a.test/')
    assertForbidden(`http://${ONION}/`, 'https://x.onion.evil.test/')
    const lenient: RedirectRules = { allowDowngrade: true, allowOnionToClearnet: true }
    assert.equal(follow(hop('https://a.test/'), 302, 'http://a.test/', lenient).to.url.protocol, 'http:')
    assert.equal(follow(hop(`http://${ONION}/`), 302, 'http://a.test/', lenient).to.isOnion, false)
    assert.equal(follow(hop('http://a.test/'), 302, `http://${ONION}/`).to.isOnion, true)
  })

  it('refuses locations that the policy refuses, or that are none', () => {
    const bad = ['file:///etc/passwd', 'http://127.0.0.1/', '//localhost/', 'http://a.test:22/', 'http://u:p@b.test/']
    bad.push(
      'http://x.onion/',
      'http://[::ffff:7f00:1]/',
      'ftp://a.test/',
      'javascript:alert(1)',
      'http://',
      'http://a b/',
    )
    bad.push('/a\tb', `/${'x'.repeat(9000)}`, 'data:text/html,x')
    for (const location of bad) assertForbidden('http://a.test/', location)
    const head = { ...redirect(302, '/a'), headers: [['location', '/a'] as const, ['location', '/b'] as const] }
    assert.throws(() => nextHop(hop('http://a.test/'), head, policy, STRICT), { code: 'redirect_forbidden' })
  })

  function assertForbidden(from: string, location: string) {
    assert.throws(() => follow(hop(from), 302, location), { name: 'CbtorError', code: 'redirect_forbidden' }, location)
  }
})

describe('isRedirect()', () => {
  it('is one of five statuses with a location', () => {
    for (const status of [301, 302, 303, 307, 308]) assert.ok(isRedirect(redirect(status, '/')))
    for (const status of [200, 201, 300, 304, 305, 400]) assert.ok(!isRedirect(redirect(status, '/')))
    assert.ok(!isRedirect({ status: 302, statusText: '', headers: [] }))
  })
})

function hop(url: string, changes: Partial<Hop> = {}): Hop {
  return { to: policy.checkUrl(url), method: 'GET', headers: [], body: undefined, ...changes }
}

function redirect(status: number, location: string): ResponseHead {
  return { status, statusText: '', headers: [['location', location]] }
}

function follow(from: Hop, status: number, location: string, rules = STRICT): Hop {
  return nextHop(from, redirect(status, location), policy, rules)
}

import assert from 'node:assert/strict'
import { readdirSync } from 'node:fs'
import { describe, it } from 'node:test'
import fc from 'fast-check'
import { createTestApp, type TestApp } from '../test-app.ts'

async function pagesOf({ app }: TestApp): Promise<readonly string[]> {
  const { body } = await app.inject({ url: '/manual' })
  const [, nav = ''] = /<nav id="contents"([\s\S]*?)<\/nav>/.exec(body) ?? []
  return ['/manual', ...[...nav.matchAll(/href="([^"]+)"/g)].map(([, url = '']) => url)]
}

describe('the manual', { timeout: 60_000 }, () => {
  it('is served to everybody, each page with what is around it, and nothing but text and styles of ours', async () => {
    await using test = await createTestApp({ auth: 'on' })
    const pages = await pagesOf(test)
    assert.ok(pages.length > 30)
    for (const url of pages) {
      const { statusCode, headers, body } = await test.app.inject({ url })
      assert.equal(statusCode, 200, url)
      assert.match(String(headers['content-type']), /^text\/html/)
      assert.match(String(headers['content-security-policy']), /^default-src 'none'; style-src 'self'; img-src 'self'/)
      assert.doesNotMatch(body, /<script|<style| style=| on\w+=|<!--|[>"]undefined[<"]|&lt;br&gt;|\[object/i, url)
      assert.doesNotMatch(body, / (?:src|action)="(?!\/manual)/, url)
      assert.match(body, /<h1 id=/, url)
      if (url !== '/manual') assert.match(body, new RegExp(`href="${url}" aria-current="page"`), url)
    }
    assert.deepEqual(test.keys.shown, [])
  })

  it('leads nowhere where there is nothing', async () => {
    await using test = await createTestApp()
    const elsewhere = new Set(['/', '/docs', '/redoc'])
    const answers = new Map<string, string>()
    const get = async (url: string) => {
      if (!answers.has(url)) {
        const { statusCode, body } = await test.app.inject({ url })
        assert.equal(statusCode, 200, url)
        answers.set(url, body)
      }
      return answers.get(url) ?? ''
    }
    for (const page of await pagesOf(test)) {
      for (const [, target = ''] of (await get(page)).matchAll(/(?:href|src)="([^"]*)"/g)) {
        if (/^(?:https?:|data:)/.test(target) || elsewhere.has(target)) continue
        const { pathname, hash } = new URL(target, `http://localhost${page}`)
        const there = await get(pathname)
        if (hash !== '')
          assert.ok(there.includes(`id="${decodeURIComponent(hash.slice(1))}"`), `${page} refers to ${target}`)
      }
    }
  })

  it('serves pictures and files that pages show, as what they are', async () => {
    await using test = await createTestApp()
    const pictures = readdirSync('docs/images')
    assert.ok(pictures.length >= 4)
    for (const name of pictures) {
      const { statusCode, headers } = await test.app.inject({ url: `/manual/images/${name}` })
      assert.equal(statusCode, 200, name)
      assert.match(String(headers['content-type']), /^image\/(?:svg\+xml|png)$/)
      assert.match(String(headers['content-security-policy']), /^default-src 'none'/)
    }
    const { body } = await test.app.inject({ url: '/manual/concepts' })
    assert.match(body, /<img src="\/manual\/images\/request\.svg" alt="[^"]+" width="960" height="290">/)
  })

  it('is not sent again to whoever has it', async () => {
    await using test = await createTestApp()
    for (const url of ['/manual', '/manual/fetch', '/manual/style.css', '/manual/images/box.svg']) {
      const { etag } = (await test.app.inject({ url })).headers
      const again = await test.app.inject({ url, headers: { 'if-none-match': `"other", W/${String(etag)}` } })
      assert.deepEqual([again.statusCode, again.body, again.headers.etag], [304, '', etag], url)
      assert.equal((await test.app.inject({ url, headers: { 'if-none-match': '"other"' } })).statusCode, 200)
      assert.equal((await test.app.inject({ url, method: 'HEAD' })).headers.etag, etag)
    }
  })

  it('tells people, by a page, that there is none of that name, and programs by a problem', async () => {
    await using test = await createTestApp()
    const url = '/manual/kill-switch<b>'
    const page = await test.app.inject({ url, headers: { accept: 'text/html,*/*' } })
    assert.equal(page.statusCode, 404)
    assert.match(page.body, /no page “kill-switch&lt;b&gt;”/)
    assert.doesNotMatch(page.body, /<b>/)
    assert.match(
      (await test.app.inject({ url: '/manual/kill-switch', headers: { accept: 'text/html' } })).body,
      /#kill-switch-and-lock/,
    )
    assert.equal((await test.app.inject({ url })).json().code, 'not_found')
  })

  it('has no way to a file that is not in it', async () => {
    await using test = await createTestApp()
    const refused = async (path: string) => {
      if (!new URL(`http://a/manual/${path}`).pathname.startsWith('/manual/')) return // no client would send it
      const { statusCode, headers, body } = await test.app.inject({ url: `/manual/${path}` })
      if (statusCode === 200 && /^(?:text\/html|text\/css|image\/)/.test(String(headers['content-type']))) return
      assert.ok([301, 302, 400, 404].includes(statusCode), `${statusCode} for ${path}`)
      assert.match(body, /"code":"(?:not_found|url_invalid|invalid_input|http_invalid)"/, path)
    }
    const climbing = ['../package.json', '..%2fpackage.json', '%2e%2e/%2e%2e/etc/passwd', 'images/../../package.json']
    const odd = [
      'fetch.md',
      'README.md',
      '/etc/passwd',
      'images',
      'images/',
      '__proto__',
      'constructor',
      'a%00b',
      'x'.repeat(500),
    ]
    for (const path of [...climbing, ...odd]) await refused(path)
    const part = fc.oneof(
      fc.constantFrom('..', '.', '%2e%2e', '%2f', '\\', 'images', 'fetch', 'src', ''),
      fc.webSegment(),
    )
    await fc.assert(
      fc.asyncProperty(fc.array(part, { maxLength: 5 }), (parts) => refused(parts.join('/'))),
      { numRuns: 200 },
    )
    assert.deepEqual(
      test.logger.lines.filter(({ level }) => level === 'error'),
      [],
    )
  })
})

describe('the search', { timeout: 60_000 }, () => {
  const ask = async (test: TestApp, q: string) =>
    (await test.app.inject({ url: `/manual/search?${new URLSearchParams({ q })}` })).body

  it('finds passages that have all words, headings first', async () => {
    await using test = await createTestApp()
    const body = await ask(test, 'kill switch')
    const [first] = [...body.matchAll(/<li><a href="(\/manual\/[^"]+#[^"]+)">([^<]+)</g)]
    assert.deepEqual(first?.slice(1), ['/manual/tunnels#kill-switch-and-lock', 'Kill switch and lock'])
    assert.match(await ask(test, 'nobodywritesthis'), /Nothing with all words of “nobodywritesthis”/)
    assert.match(await ask(test, ''), /Write one or more words above/)
  })

  it('leads to places that are there', async () => {
    await using test = await createTestApp()
    for (const [, path = '', anchor = ''] of (await ask(test, 'worker')).matchAll(/<li><a href="([^#"]+)#([^"]+)">/g)) {
      const { body } = await test.app.inject({ url: path })
      assert.ok(body.includes(`id="${anchor}"`), `${path}#${anchor}`)
    }
  })

  it('shows what was asked as text, and looks for no more than some words', async () => {
    await using test = await createTestApp()
    const body = await ask(test, '"><script>alert(1)</script>')
    assert.doesNotMatch(body, /<script/)
    assert.match(body, /value="&quot;&gt;&lt;script&gt;/)
    const long = await ask(test, 'tor '.repeat(2_000))
    assert.ok((long.match(/<li><a href="[^"]+#/g) ?? []).length <= 30)
    assert.match(long, /value="(?:tor ){25}"/)
  })
})

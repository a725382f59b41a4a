import assert from 'node:assert/strict'
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { describe, it } from 'node:test'
import { brotliCompressSync, brotliDecompressSync, gunzipSync, gzipSync } from 'node:zlib'
import { createTestApp } from '../test-app.ts'
import { readPageFiles } from './page-files.ts'

const BROWSER = 'text/html,application/xhtml+xml,application/xml;q=0.9,*/*;q=0.8'
const INDEX = '<!doctype html><script type="module" src="/page/index-a1.js"></script>'
const SCRIPT = 'document.title = "CBTOR"'

/** A page of two files, as the build leaves it. */
function builtPage() {
  const directory = mkdtempSync(join(tmpdir(), 'cbtor-page-'))
  for (const [name, text] of [
    ['index.html', INDEX],
    ['index-a1.js', SCRIPT],
  ] as const) {
    writeFileSync(join(directory, name), text)
    writeFileSync(join(directory, `${name}.br`), brotliCompressSync(text))
    writeFileSync(join(directory, `${name}.gz`), gzipSync(text))
  }
  const files = readPageFiles(directory)
  rmSync(directory, { recursive: true })
  assert.ok(files)
  return files
}

describe('the page', () => {
  it('is at / for browsers, while programs are told where things are, without a key', async () => {
    await using test = await createTestApp({ auth: 'on', page: builtPage() })
    const page = await test.app.inject({ url: '/', headers: { accept: BROWSER } })
    assert.deepEqual(
      [page.statusCode, page.headers['content-type'], page.body],
      [200, 'text/html; charset=utf-8', INDEX],
    )
    assert.equal(page.headers['cache-control'], 'no-store')
    assert.equal(page.headers.vary, 'accept, accept-encoding')
    for (const accept of ['*/*', 'application/json', undefined]) {
      const told = await test.app.inject({ url: '/', headers: { ...(accept && { accept }) } })
      assert.equal(told.json().api, '/api/v1', accept)
      assert.equal(told.headers.vary, 'accept')
    }
  })

  it('may load nothing but what this service has, and runs nothing that stands in the page', async () => {
    await using test = await createTestApp({ page: builtPage() })
    const { headers } = await test.app.inject({ url: '/', headers: { accept: BROWSER } })
    const policy = String(headers['content-security-policy'])
    assert.match(policy, /^default-src 'none'; script-src 'self'; style-src 'self'; connect-src 'self';/)
    assert.doesNotMatch(policy, /unsafe|https?:|\*|blob:/)
    assert.match(policy, /; require-trusted-types-for 'script'; trusted-types 'none'$/)
    for (const [name, value] of [
      ['x-content-type-options', 'nosniff'],
      ['referrer-policy', 'no-referrer'],
      ['cross-origin-opener-policy', 'same-origin'],
      ['cross-origin-resource-policy', 'same-origin'],
    ] as const) {
      assert.equal(headers[name], value)
    }
  })

  it('has files that browsers keep for ever, each in the encoding that the client takes', async () => {
    await using test = await createTestApp({ auth: 'on', page: builtPage() })
    const unpacked = { br: brotliDecompressSync, gzip: gunzipSync, none: (bytes: Buffer) => bytes }
    for (const [accepted, encoding] of [
      ['gzip, deflate, br, zstd', 'br'],
      ['gzip;q=1.0', 'gzip'],
      ['br;q=0, gzip', 'gzip'],
      ['br;q=0.000', 'none'],
      ['identity', 'none'],
      [undefined, 'none'],
    ] as const) {
      const headers = accepted === undefined ? {} : { 'accept-encoding': accepted }
      const file = await test.app.inject({ url: '/page/index-a1.js', headers })
      assert.equal(file.statusCode, 200)
      assert.equal(file.headers['content-encoding'] ?? 'none', encoding, accepted)
      assert.equal(unpacked[encoding](file.rawPayload).toString(), SCRIPT)
      assert.equal(file.headers['content-type'], 'text/javascript; charset=utf-8')
      assert.equal(file.headers['cache-control'], 'public, max-age=31536000, immutable')
      assert.equal(file.headers.vary, 'accept-encoding')
    }
  })

  it('has no other file, however it is written', async () => {
    await using test = await createTestApp({ page: builtPage() })
    const others = [
      'index.html',
      '',
      'x.js',
      'index-a1.js.gz',
      '..%2findex.html',
      '%2e%2e/package.json',
      '%00',
      'a/index-a1.js',
    ]
    for (const name of others) {
      const answer = await test.app.inject({ url: `/page/${name}` })
      assert.equal(answer.statusCode, 404, name)
      assert.equal(answer.json().code, 'not_found', name)
      assert.equal(answer.headers['cache-control'], 'no-store', name)
    }
  })

  it('says so where it is not built', async () => {
    await using test = await createTestApp({ page: undefined })
    const page = await test.app.inject({ url: '/', headers: { accept: BROWSER } })
    assert.equal(page.statusCode, 503)
    assert.match(page.body, /is not built: <code>npm run setup<\/code> builds it/)
    assert.doesNotMatch(page.body, /<script|style=|https?:/)
    assert.equal((await test.app.inject({ url: '/' })).json().name, 'cbtor')
    assert.equal(readPageFiles('/nowhere'), undefined)
  })
})

/** Nothing on a page leads nowhere, and no page is left out. */
import assert from 'node:assert/strict'
import { existsSync, statSync } from 'node:fs'
import { dirname, join, normalize } from 'node:path'
import { describe, it } from 'node:test'
import { readContents } from '../../src/api/manual/contents.ts'
import { createMarkdown, renderPage } from '../../src/api/manual/render.ts'
import { PAGES, ROOT, textOf } from './pages.ts'

const READ = [...PAGES, 'ARCHITECTURE.md', 'CHANGELOG.md', 'CONTRIBUTING.md', 'SECURITY.md', 'openwrt/README.md']
const markdown = createMarkdown()

/** Links and pictures, as they are written. */
function targetsOf(page: string): readonly string[] {
  const tokens = markdown.parse(textOf(page), {}).flatMap(({ children }) => children ?? [])
  return tokens.flatMap((token) =>
    [token.attrGet('href'), token.attrGet('src')].flatMap((target) => (target === null ? [] : [String(target)])),
  )
}

function anchorsOf(page: string): ReadonlySet<string> {
  const nothing = { urlOf: () => undefined, sizeOf: () => undefined }
  return new Set(renderPage(markdown, page, textOf(page), nothing).headings.map(({ anchor }) => anchor))
}

describe('what pages refer to', () => {
  it('is there: files, pictures and headings', () => {
    const broken: string[] = []
    for (const page of READ) {
      for (const target of targetsOf(page).map(decodeURI)) {
        if (/^[a-z]+:/.test(target)) continue
        const [path = '', anchor] = target.split('#')
        const file = path === '' ? page : normalize(join(dirname(page), path))
        const isThere = existsSync(join(ROOT, file))
        const needsAnchor = anchor !== undefined && isThere && statSync(join(ROOT, file)).isFile()
        if (!isThere || (needsAnchor && !anchorsOf(file).has(anchor))) broken.push(`${page}: ${target}`)
      }
    }
    assert.deepEqual(broken, [])
  })

  it('is there in what GitHub shows of HTML, too', () => {
    for (const [, file = ''] of textOf('README.md').matchAll(/(?:src|srcset)="([^"]+)"/g))
      assert.ok(existsSync(join(ROOT, file)), file)
  })

  it('is by a path that GitHub knows, too', () => {
    for (const page of READ)
      for (const target of targetsOf(page)) assert.doesNotMatch(target, /^\/|^[a-z.]+\.(?:com|org)\b/, page)
  })

  it('is never a picture of elsewhere', () => {
    for (const page of PAGES)
      assert.deepEqual([...textOf(page).matchAll(/!\[[^\]]*\]\(https?:[^)]*\)/g)].map(String), [], page)
  })
})

describe('docs/README.md', () => {
  const sections = readContents(markdown, textOf('docs/README.md'))

  it('has every page, once', () => {
    const listed = sections.flatMap(({ entries }) => entries.map(({ file }) => `docs/${file}`))
    assert.deepEqual(
      listed.toSorted(),
      PAGES.filter((page) => page !== 'README.md' && page !== 'docs/README.md'),
    )
  })

  it('says of each page what is in it', () => {
    for (const line of textOf('docs/README.md').split('\n'))
      if (line.startsWith('- [') && !line.includes('](decisions/')) assert.match(line, /\): .{20,}/, line)
  })
})

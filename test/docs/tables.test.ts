/** Tables of the pages that have to be complete. */
import assert from 'node:assert/strict'
import { describe, it } from 'node:test'
import { ACCESS } from '../../src/api/access.ts'
import { SERVICE_PROBLEMS } from '../../src/domain/events.ts'
import { FAULTS, PROBLEMS } from '../../src/domain/problems.ts'
import { textOf } from './pages.ts'

/** Pages and what belongs to them, which no program asks. */
const PAGES_OF_OURS = /^GET \/(?:$|docs|redoc|openapi\.json|manual|assets|favicon|dashboard|page)/

describe('docs/api.md', () => {
  it('has every endpoint with its scope', () => {
    const [, table = ''] = /<!-- endpoints -->([\s\S]*)<!-- end of endpoints -->/.exec(textOf('docs/api.md')) ?? []
    const listed = [...table.matchAll(/^\| `([A-Z]+ [^`]+)` \| (?:`([^`]+)`|([a-z ]+)) \| .{5,} \|$/gm)].map(
      ([, endpoint, scope, word]) => `${endpoint}: ${scope ?? word}`,
    )
    const scopeOf = (access: string) => (access === 'public' ? 'none' : access === 'any' ? 'any key' : access)
    const served = Object.entries(ACCESS)
      .filter(([row, access]) => access !== 'public' || !PAGES_OF_OURS.test(row))
      .map(([row, access]) => `${row.replaceAll(/:(\w+)/g, '{$1}')}: ${scopeOf(access)}`)
    assert.deepEqual(listed.toSorted(), served.toSorted())
  })
})

describe('docs/troubleshooting.md', () => {
  const page = textOf('docs/troubleshooting.md')

  it('says of every problem that the service shows what it means and what mends it', () => {
    for (const code of SERVICE_PROBLEMS) assert.match(page, new RegExp(`^\\| \`${code}\` \\| .+ \\| .+ \\|`, 'm'), code)
  })

  it('has each fault, by codes that there are', () => {
    const codes = new Set<string>([...Object.keys(PROBLEMS), ...SERVICE_PROBLEMS])
    for (const fault of FAULTS) {
      const rows = [...page.matchAll(new RegExp(`^\\| \`${fault}\` \\| ([^|]+) \\|`, 'gm'))].map(
        ([, listed = '']) => listed,
      )
      assert.ok(rows.length > 0, fault)
      for (const [, code = ''] of rows.join(' ').matchAll(/`([a-z_]+)`/g)) {
        assert.ok(codes.has(code), code)
        assert.equal(PROBLEMS[code as keyof typeof PROBLEMS].fault, fault, code)
      }
    }
  })
})

import assert from 'node:assert/strict'
import { describe, it } from 'node:test'
import { configFields } from '../../src/config/fields.ts'
import { variableOf } from '../../src/config/variables.ts'
import { CONFIG_PAGE, configPageOf } from './config-page.ts'
import { textOf } from './pages.ts'

describe(CONFIG_PAGE, () => {
  const page = textOf(CONFIG_PAGE)

  it('has every field with its default, what it is, and whether a reload applies it', () => {
    assert.equal(page, configPageOf(page), 'write it anew by script/config-schema')
    for (const { name, kind } of configFields())
      if (kind !== 'section') assert.match(page, new RegExp(`^\\| \`${name.replaceAll('.', '\\.')}\` \\|`, 'm'))
  })

  it('names variables that there are', () => {
    const known = new Set([...configFields().map(variableOf), 'CBTOR_CONFIG', 'CBTOR_KEY'])
    const named = page.replaceAll(/```text[\s\S]*?```/g, '') // examples of faults
    for (const [name] of named.matchAll(/CBTOR_[A-Z_]+[A-Z]/g)) assert.ok(known.has(name), name)
  })
})

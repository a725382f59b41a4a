import assert from 'node:assert/strict'
import { readFileSync } from 'node:fs'
import { describe, it } from 'node:test'
import { FAULTS, type Fault, PROBLEMS, type ProblemType } from '../src/domain/problems.ts'
import { DEFAULT_HEADERS } from '../src/fetch/headers.ts'

const page = (name: string) => readFileSync(`docs/${name}.md`, 'utf8')

describe('docs/fetch.md', () => {
  it('lists the neutral headers byte by byte as they are sent', () => {
    const [, block] = /\n```http\n([\s\S]*?)\n```\n/.exec(page('fetch')) ?? []
    assert.equal(block, DEFAULT_HEADERS.map(([name, value]) => `${name}: ${value}`).join('\n'))
  })
})

describe('docs/errors.md', () => {
  it('has every code with its status, whose fault it is, and whether trying again makes sense', () => {
    for (const fault of FAULTS) {
      const [, section = ''] = page('errors').split(`\n## ${titleOf(fault)}\n`)
      const [own = ''] = section.split('\n## ')
      const listed = own.split('\n').filter((line) => line.startsWith('| `'))
      assert.deepEqual(listed, rowsOf(fault), `of ${fault}`)
    }
  })

  it('names no code that there is not', () => {
    const named = [...page('errors').matchAll(/`([a-z]+(?:_[a-z]+)+)`/g)].flatMap(([, name]) => name ?? [])
    const others = ['request_id', 'timeout_ms', 'max_bytes', 'retry_after', 'sticky_key', 'on_loss']
    assert.deepEqual(
      named.filter((name) => !(name in PROBLEMS) && !others.includes(name)),
      [],
    )
  })
})

function rowsOf(fault: Fault): string[] {
  return Object.entries<ProblemType>(PROBLEMS).flatMap(([code, { status, retryable, title, fault: whose }]) =>
    whose === fault ? `| \`${code}\` | ${status} | ${retryable ? 'yes' : 'no'} | ${title} |` : [],
  )
}

function titleOf(fault: Fault): string {
  return `\`${fault}\``
}

import assert from 'node:assert/strict'
import { globSync, readFileSync } from 'node:fs'
import { describe, it } from 'node:test'
import type { Command } from 'commander'
import { EXIT } from '../../src/cli/exit-with.ts'
import { BEGINNING, COMMON, commandReference, notesOf, visibleBelow, wholeProgram } from './cli-page.ts'

const PAGE = readFileSync('docs/cli.md', 'utf8')

/** Commands that cannot speak JSON, and why. */
const WITHOUT_JSON: Readonly<Record<string, string>> = {
  up: 'it runs until it is ended',
  demo: 'it runs until it is ended, and writes demo.json',
  'testnet up': 'what it writes is JSON',
  'config schema': 'what it writes is JSON',
  'keys reset-admin': 'the key alone goes to standard output, so that it can be piped on',
  mcp: 'it speaks MCP',
  'tunnel serve': 'it runs until it is ended',
  'tunnel config': 'it writes a file for another tool',
  completion: 'it writes a script for a shell',
}

function leaves(command: Command, path: readonly string[] = []): readonly { path: string; command: Command }[] {
  return visibleBelow(command).flatMap((each) => {
    const at = [...path, each.name()]
    return each.commands.length === 0 ? [{ path: at.join(' '), command: each }] : leaves(each, at)
  })
}

describe('every command', async () => {
  const all = leaves(await wholeProgram())

  it('has each of its arguments told once', async () => {
    const sections = (await commandReference()).split(/^#+ /m)
    const told = sections.flatMap((section) => {
      const names = [...section.matchAll(/^\| `([<[][^`]+)` \|/gm)].map(([, name]) => name)
      return names.length === new Set(names).size ? [] : [section.split('\n')[0]]
    })
    assert.deepEqual(told, [])
  })

  it('has an example in its help', () => {
    const without = all.filter(
      ({ command, path }) => !new RegExp(`^ {2}.*cbtor ${path}|^ {2}.*npm run demo`, 'm').test(notesOf(command)),
    )
    assert.deepEqual(
      without.map(({ path }) => path),
      [],
    )
  })

  it('speaks JSON, or says why not', () => {
    const without = all.filter(({ command }) => !command.options.some(({ long }) => long === '--json'))
    assert.deepEqual(without.map(({ path }) => path).sort(), Object.keys(WITHOUT_JSON).sort())
  })

  it('is called in a transcript, but for those that take a network, boxes or another program', () => {
    const transcripts = globSync('test/cli/*.txt')
      .map((file) => readFileSync(file, 'utf8'))
      .join('')
    const elsewhere = [
      'demo',
      'drill',
      'testnet up',
      'mcp',
      'completion',
      'tunnel',
      'workers upgrade',
      'workers uninstall',
      'keys',
      'jobs',
      'config',
      'dashboard',
    ]
    const missing = all.filter(
      ({ path }) => !transcripts.includes(`cbtor ${path}`) && !elsewhere.some((each) => path.startsWith(each)),
    )
    assert.deepEqual(
      missing.map(({ path }) => path),
      [],
    )
  })
})

describe('docs/cli.md', () => {
  it('has all commands and options as they are', async () => {
    const [, reference = ''] = PAGE.split(BEGINNING)
    assert.equal(`${BEGINNING}${reference}`, await commandReference(), 'node test/cli/write-cli-page.ts writes it anew')
  })

  it('explains the options that commands have in common, and every exit code', () => {
    const [byHand = ''] = PAGE.split(BEGINNING)
    for (const name of COMMON) assert.ok(byHand.includes(`\`${name}`) || byHand.includes(`, ${name}`), name)
    const codes = [...byHand.matchAll(/^\| (\d+) \|/gm)].map(([, code]) => Number(code))
    assert.deepEqual(codes, Object.values(EXIT))
  })
})

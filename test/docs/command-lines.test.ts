/** Every command line of ours on a page, also where it is not run, is one that the program knows. */
import assert from 'node:assert/strict'
import { it } from 'node:test'
import type { Command } from 'commander'
import { createProgram } from '../../src/cli/cli.ts'
import type { CommandParts } from '../../src/cli/parts.ts'
import { blocksOf, PAGES, placeOf } from './pages.ts'

const program = await createProgram({} as CommandParts, () => true)

/** Where a command begins: a line, a part of one, or what another command runs. */
const BEGIN = String.raw`(?:^|[|&(;]\s*|/bin/|\bsudo (?:-u \w+ )?|\bnpm run (?:-s )?)`
const LINE = new RegExp(String.raw`${BEGIN}cbtor(?: --)? +([a-z-][^|;&>)\n]*)`, 'gm')

function commandLines(text: string): readonly string[] {
  const whole = text.replaceAll(/\\\n\s*/g, ' ').replaceAll(/(^|\s)#.*$/gm, '')
  return [...whole.matchAll(LINE)].map(([, line = '']) => line.trim())
}

function faultOf(line: string): string | undefined {
  const words = (line.match(/'[^']*'|"[^"]*"|\S+/g) ?? []).filter((word) => word !== '--')
  let command: Command = program
  let isOption = false
  for (const word of words) {
    if (word.startsWith('-')) {
      const [name = ''] = word.split('=')
      const known = [command, ...parentsOf(command)].flatMap(({ options }) => options)
      isOption = true
      if (
        !['--help', '-h', '--version'].includes(name) &&
        !known.some(({ long, short }) => long === name || short === name)
      )
        return `${command.name()} has no option ${name}`
      continue
    }
    if (isOption) continue // values and arguments, as far as anybody can tell
    const next = command.commands.find((each) => each.name() === word || each.aliases().includes(word))
    if (next !== undefined) command = next
    else if (command === program || (command.commands.length > 0 && command.registeredArguments.length === 0))
      return `${command.name()} has no command ${word}`
  }
  return undefined
}

function parentsOf(command: Command): readonly Command[] {
  return command.parent === null ? [] : [command.parent, ...parentsOf(command.parent)]
}

it('knows a command line that is wrong', () => {
  assert.equal(faultOf('keys crate x'), 'keys has no command crate')
  assert.equal(faultOf('keys create x --scpe fetch'), 'create has no option --scpe')
  assert.equal(faultOf('kyes list'), 'cbtor has no command kyes')
  assert.deepEqual(commandLines('sudo -u cbtor cbtor keys list # all\nls /var/lib/cbtor -l'), ['keys list'])
})

it('command lines of the pages have commands and options that there are', () => {
  const seen: string[] = []
  const faults: string[] = []
  for (const block of PAGES.flatMap(blocksOf)) {
    if (!['sh', 'bash', 'console', 'ini'].includes(block.language)) continue
    for (const line of commandLines(block.text)) {
      seen.push(line)
      const fault = faultOf(line)
      if (fault !== undefined) faults.push(`${placeOf(block)}: ${fault}: ${line}`)
    }
  }
  assert.ok(seen.length > 30, String(seen.length))
  assert.deepEqual(faults, [])
})

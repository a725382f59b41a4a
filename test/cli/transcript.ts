/**
 * Transcripts of command lines, in `*.txt`. A line that begins with # begins a case. Before a command stand the circumstances:
 *
 *   stdin 'text'     what it reads
 *   env NAME=value   one more variable
 *   terminal         somebody sits there, and answers no question
 *   answer yes       the same, who answers yes (or no)
 *   until 'regex'    it is interrupted when its standard output has that
 *   during WORD WORD while it runs, once `until` has been seen for the first time: an action of ACTIONS
 *
 * then the command, `cbtor …` if it is to succeed and `! cbtor …` if not, in the words of a shell; then what is to be seen:
 * `exit N`, `stdout 'regex'`, `stderr 'regex'`, `no stdout 'regex'`, `file NAME 'regex'`. `^` and `$` are those of lines, and `.` is
 * no line break. In all of them $DIR is a directory of the transcript's own.
 */
import assert from 'node:assert/strict'
import { readFileSync } from 'node:fs'
import { join } from 'node:path'
import { Readable } from 'node:stream'
import { runTestCli } from '../../src/cli/test-cli.ts'
import { systemClock } from '../../src/lib/clock.ts'
import type { CliService } from './cli-service.ts'

export interface Case {
  readonly title: string
  readonly lines: readonly { readonly at: number; readonly words: readonly string[] }[]
}

/** What a transcript can do to the service, beside calling commands. */
const ACTIONS: Readonly<Record<string, (service: CliService, word: string) => Promise<void>>> = {
  kill: async ({ drivers }, id) => drivers.get(id)?.kill(),
  restart: (service) => service.restart(),
}

export function readTranscript(file: string): readonly Case[] {
  const cases: { title: string; lines: { at: number; words: string[] }[] }[] = []
  for (const [index, line] of readFileSync(file, 'utf8').split('\n').entries()) {
    if (line.startsWith('#')) cases.push({ title: line.slice(1).trim(), lines: [] })
    else if (line.trim() !== '') cases.at(-1)?.lines.push({ at: index + 1, words: wordsOf(line) })
  }
  return cases
}

interface Circumstances {
  stdin?: string
  env: Record<string, string>
  isTerminal: boolean
  answer?: boolean
  until: RegExp[]
  during?: readonly string[]
}

export async function replay(file: string, { lines }: Case, service: CliService): Promise<void> {
  const fill = (word: string) => word.replaceAll('$DIR', service.directory)
  let circumstances: Circumstances = { env: {}, isTerminal: false, until: [] }
  let seen: { code: number; out: string; err: string } | undefined
  for (const { at, words } of lines) {
    const [verb = '', first = '', second = ''] = words.map(fill)
    const where = () => `${file}:${at}: ${words.join(' ')}\n--- stdout\n${seen?.out}\n--- stderr\n${seen?.err}\n---`
    const matches = (text: string | undefined, pattern: string) => new RegExp(pattern, 'm').test(text ?? '')
    switch (verb) {
      case 'stdin':
        circumstances.stdin = first
        break
      case 'env': {
        const [name = '', value = ''] = first.split('=', 2)
        circumstances.env[name] = value
        break
      }
      case 'terminal':
        circumstances.isTerminal = true
        break
      case 'answer':
        circumstances = { ...circumstances, isTerminal: true, answer: first === 'yes' }
        break
      case 'until':
        circumstances.until.push(new RegExp(first, 'm'))
        break
      case 'during':
        circumstances.during = [first, second]
        break
      case 'cbtor':
      case '!': {
        const argv = words.slice(verb === '!' ? 2 : 1).map(fill)
        seen = await run(argv, circumstances, service)
        circumstances = { env: {}, isTerminal: false, until: [] }
        assert.equal(seen.code === 0, verb === 'cbtor', `${where()} exit ${seen.code}`)
        break
      }
      case 'exit':
        assert.equal(seen?.code, Number(first), where())
        break
      case 'stdout':
        assert.ok(matches(seen?.out, first), where())
        break
      case 'stderr':
        assert.ok(matches(seen?.err, first), where())
        break
      case 'no':
        assert.ok(!matches(first === 'stdout' ? seen?.out : seen?.err, second), where())
        break
      case 'file':
        assert.ok(matches(readFileSync(join(service.directory, first), 'latin1'), second), where())
        break
      default: {
        const action = ACTIONS[verb]
        assert.ok(action, `${file}:${at}: there is no ${verb}`)
        await action(service, first)
      }
    }
  }
}

async function run(argv: readonly string[], circumstances: Circumstances, service: CliService) {
  const { stdin, env, isTerminal, answer, during } = circumstances
  const until = [...circumstances.until]
  const interrupt = new AbortController()
  let written = ''
  const out = {
    isTTY: isTerminal,
    write(text: string | Uint8Array) {
      written += typeof text === 'string' ? text : Buffer.from(text).toString('latin1')
      if (until[0]?.test(written) !== true) return
      until.shift()
      if (until.length === 0) interrupt.abort(new Error('Interrupted by SIGINT'))
      else if (during) void ACTIONS[during[0] ?? '']?.(service, during[1] ?? '')
    },
  }
  let told = ''
  const err = { isTTY: isTerminal, write: (text: string | Uint8Array) => (told += text) }
  const { code } = await runTestCli(
    argv,
    { ...service.env, HOME: service.directory, ...env },
    {
      ...{ clock: systemClock, signal: interrupt.signal, out, err },
      ...(stdin !== undefined && { stdin: Readable.from([Buffer.from(stdin)]) }),
      ...(isTerminal && {
        confirm: async (question: string) => {
          told += `${question}\n`
          assert.notEqual(answer, undefined, `a question was asked: ${question}`)
          return answer ?? false
        },
      }),
    },
  )
  return { code, out: written, err: told }
}

/** As a shell has them, but for what begins with $ and \. */
function wordsOf(line: string): string[] {
  return [...line.matchAll(/(?:'[^']*'|"[^"]*"|[^\s'"])+/g)].map(([word]) =>
    word.replace(/'([^']*)'|"([^"]*)"/g, (_, one, two) => one ?? two),
  )
}

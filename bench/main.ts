/**
 * CBTOR beside what people would pick instead: all on the same Tors of a private network, in turns.
 *
 *   npm run bench                    everything, and writes bench/results/latest.md and .json
 *   npm run bench -- NAME…           these cases, which are printed
 *   npm run bench -- gate            a few ratios against those of bench/results/gate.json; exit code 1 if one is worse
 *   npm run bench -- gate --learn 5  writes that file anew, from so many runs
 *   npm run bench -- simulate        the pool at 10, 100 and 1,000 workers (bench/simulate/main.ts)
 *   npm run bench -- cluster         several gateways while one of them or their store dies (bench/cluster/main.ts)
 */
import { spawn } from 'node:child_process'
import { once } from 'node:events'

import { mkdirSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { parseArgs } from 'node:util'
import { alone } from './cases/alone.ts'
import { failures } from './cases/failures.ts'
import { firstByteAt0, firstByteAt20 } from './cases/first-byte.ts'
import { idleTunnels } from './cases/idle-tunnels.ts'
import { keptAliveAt0, keptAliveAt20 } from './cases/kept-alive.ts'
import { memory } from './cases/memory.ts'
import { micro } from './cases/micro.ts'
import { requests } from './cases/requests.ts'
import { start } from './cases/start.ts'
import { streams } from './cases/streams.ts'
import { warmth } from './cases/warmth.ts'
import { checkGate, learnGate } from './gate.ts'
import { GOALS } from './goals.ts'
import type { Case, Effort } from './lib/case.ts'
import { type Figure, judge } from './lib/figures.ts'
import { commitText, machineText } from './lib/machine.ts'
import { markdown, type Report, tableLines, verdictLines } from './lib/report.ts'
import { ROOT } from './stage/root.ts'
import { Stages } from './stage/stages.ts'

/** In this order, as one stage after the other is set up. */
const CASES: readonly Case[] = [
  ...[micro, alone],
  // Tunnels first: memory that was in use is there to be had.
  ...[idleTunnels, requests, streams, keptAliveAt0, firstByteAt0, start, failures, memory],
  ...[firstByteAt20, keptAliveAt20, warmth],
]
const RESULTS = join(ROOT, 'bench', 'results')

/** Programs of their own, with arguments of their own. */
const PROGRAMS: Readonly<Record<string, string>> = {
  simulate: 'The pool, its watch and a gateway at 10, 100 and 1,000 workers',
  cluster: 'Several gateways of one pool while one of them, or their store, dies',
}

process.exitCode = await main()

async function main(): Promise<number> {
  const [first = '', ...rest] = process.argv.slice(2)
  if (PROGRAMS[first] !== undefined) return await runProgram(first, rest)
  let asked: Asked
  try {
    asked = readArguments()
  } catch (error) {
    say(`bench: ${error instanceof Error ? error.message : String(error)}`)
    return 2
  }
  if ('gate' in asked) return asked.learn === undefined ? await checkGate(say) : await learnGate(asked.learn, say)
  return await measure(asked)
}

async function runProgram(name: string, args: readonly string[]): Promise<number> {
  const program = join(ROOT, 'bench', name, 'main.ts')
  const child = spawn(process.execPath, [...process.execArgv, program, ...args], { stdio: 'inherit' })
  process.on('SIGINT', () => {}) // it has got it, too, and ends by itself
  process.on('SIGTERM', () => child.kill('SIGTERM'))
  const [code] = await once(child, 'exit')
  return typeof code === 'number' ? code : 1
}

type Asked =
  | { readonly gate: true; readonly learn: number | undefined }
  | { readonly cases: readonly Case[]; readonly effort: Effort; readonly isWhole: boolean }

/** Throws what is wrong with them, and what would be right. */
function readArguments(): Asked {
  const { values, positionals } = parseArgs({
    allowPositionals: true,
    options: { rounds: { type: 'string' }, learn: { type: 'string' }, time: { type: 'string' } },
  })
  const unknown = positionals.filter((name) => name !== 'gate' && !CASES.some((each) => each.name === name))
  if (unknown.length > 0) {
    const programs = Object.entries(PROGRAMS).map(([name, title]) => ({ name, title }))
    const list = [...CASES, { name: 'gate', title: 'A few ratios, against those that were committed' }, ...programs]
    const lines = list.map(({ name, title }) => `  ${name.padEnd(14)}${title}`)
    throw new Error(
      [`there is no case ${unknown.map((name) => `"${name}"`).join(', ')}. There are:`, ...lines].join('\n'),
    )
  }
  const learn = values.learn === undefined ? undefined : number('learn', values.learn)
  if (positionals.includes('gate')) {
    if (positionals.length > 1) throw new Error('"gate" looks at cases of its own: write it alone')
    return { gate: true, learn }
  }
  if (learn !== undefined) throw new Error('--learn is for "gate"')
  const effort = { rounds: number('rounds', values.rounds ?? '3'), time: number('time', values.time ?? '1') }
  const isWhole = positionals.length === 0
  const cases = isWhole ? CASES : CASES.filter(({ name }) => positionals.includes(name))
  return { cases, effort, isWhole: isWhole && effort.time >= 1 }
}

/** 1 when a case broke off; the others go on all the same. */
async function measure({ cases, effort, isWhole }: Exclude<Asked, { gate: true }>): Promise<number> {
  const startedAt = performance.now()
  await using stages = new Stages(say)
  const figures: Figure[] = []
  const brokenOff: string[] = []
  for (const each of cases) {
    try {
      const measured = await each.run(stages, effort, (what) => say(`[${elapsed(startedAt)}] ${what}`))
      figures.push(...measured)
      print(each, measured)
    } catch (error) {
      brokenOff.push(each.name)
      say(`bench: ${each.name} broke off: ${error instanceof Error ? error.stack : String(error)}`)
    }
  }
  const goals = GOALS.filter((goal) => cases.some(({ name }) => name === goal.case))
  const verdicts = goals.map((goal) => judge(goal, figures))
  if (goals.length > 0) process.stdout.write(`\n${verdictLines(verdicts).join('\n')}\n`)
  process.stdout.write(`\nTook ${elapsed(startedAt)}.\n`)
  if (isWhole && brokenOff.length === 0) write({ figures, verdicts }, stages.versions)
  return brokenOff.length === 0 ? 0 : 1
}

function write(measured: Pick<Report, 'figures' | 'verdicts'>, versions: Report['versions']): void {
  const report: Report = {
    at: new Date().toISOString().slice(0, 16).replace('T', ' '),
    ...{ commit: commitText(), machine: machineText(), versions },
    ...measured,
  }
  mkdirSync(RESULTS, { recursive: true })
  writeFileSync(join(RESULTS, 'latest.json'), `${JSON.stringify(report, (_, value) => short(value), 1)}\n`)
  writeFileSync(join(RESULTS, 'latest.md'), markdown(report, new Map(CASES.map(({ name, title }) => [name, title]))))
}

function print({ title }: Case, figures: readonly Figure[]): void {
  const variants = [...Map.groupBy(figures, ({ variant }) => variant)]
  const tables = variants.map(([variant, rows]) => `\n${variant}\n${tableLines(rows).join('\n')}\n`)
  process.stdout.write(`\n== ${title}\n${tables.join('')}`)
}

/** Four digits are more than anything here is worth. */
function short(value: unknown): unknown {
  return typeof value === 'number' ? Number(value.toPrecision(4)) : value
}

function number(option: string, text: string): number {
  const value = Number(text)
  if (Number.isFinite(value) && value > 0) return value
  throw new Error(`--${option} takes a number above 0, not "${text}"`)
}

function elapsed(from: number): string {
  const seconds = Math.round((performance.now() - from) / 1_000)
  return `${Math.floor(seconds / 60)}:${String(seconds % 60).padStart(2, '0')}`
}

function say(what: string): void {
  process.stderr.write(`${what}\n`)
}

/**
 * Three gateways of one pool, their store and haproxy in front of them, under load while something dies. Each is a process of its own; what is
 * not real are the workers and what lies behind them.
 *
 *   npm run bench -- cluster                      all cases, some 15 minutes; writes bench/results/cluster.md
 *   npm run bench -- cluster kills                one of them: kills, outage, jobs
 *   npm run bench -- cluster --short              all of them in a minute and a half, with fewer workers: to see that they run
 *   npm run bench -- cluster kills --alone        without a shared store, as it would be without what is measured here
 */
import { mkdirSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { parseArgs } from 'node:util'
import { commitText, machineText } from '../lib/machine.ts'
import { ROOT } from '../stage/root.ts'
import { jobs } from './job-load.ts'
import { kills } from './kills.ts'
import { type Lab, startLab } from './lab.ts'
import { outage } from './outage.ts'
import { finding, type Outcome } from './outcome.ts'

interface ClusterCase {
  readonly title: string
  run(lab: Lab, say: (what: string) => void): Promise<Outcome>
}

const { values, positionals } = parseArgs({
  allowPositionals: true,
  options: { short: { type: 'boolean', default: false }, alone: { type: 'boolean', default: false } },
})
const { short: isShort, alone: isAlone } = values
const workers = isShort ? 40 : 200

const CASES: Readonly<Record<string, ClusterCase>> = {
  kills: isShort
    ? {
        title: 'kill -9 of one of three each 10 s, for 20 s',
        run: (lab, say) =>
          kills(lab, {
            ...{ seconds: 20, killEveryMs: 10_000, downMs: 4_000, breakEveryMs: 3_000, patience: 1 },
            ...{ perSecond: 60, postShare: 0.2, say },
          }),
      }
    : {
        title: 'kill -9 of one of three each 20 s, for 5 minutes',
        run: (lab, say) =>
          kills(lab, {
            ...{ seconds: 300, killEveryMs: 20_000, downMs: 8_000, breakEveryMs: 3_000, patience: 1 },
            ...{ perSecond: 100, postShare: 0.2, say },
          }),
      },
  outage: {
    title: `the store is stopped for ${isShort ? 15 : 60} s`,
    run: (lab, say) =>
      outage(lab, {
        ...{ beforeMs: 3_000, downMs: isShort ? 15_000 : 60_000, afterMs: 60_000 },
        ...{ perSecond: 60, postShare: 0.2, say },
      }),
  },
  jobs: {
    title: `${isShort ? 300 : '10,000'} jobs and two kills`,
    run: (lab, say) => jobs(lab, { jobs: isShort ? 300 : 10_000, kills: 2, downMs: 5_000, postShare: 0.05, say }),
  },
}

process.exitCode = await main()

async function main(): Promise<number> {
  const unknown = positionals.filter((name) => CASES[name] === undefined)
  if (unknown.length > 0) {
    say(`bench: there is no case ${unknown.join(', ')} of the cluster; there are ${Object.keys(CASES).join(', ')}`)
    return 2
  }
  const startedAt = performance.now()
  const names = positionals.length === 0 ? Object.keys(CASES) : positionals
  const lines: string[] = []
  let isMet = true
  for (const name of names) {
    const each = CASES[name]
    if (each === undefined) continue
    const { findings, notes } = await run(name, each).catch(brokenOff)
    isMet &&= findings.every((found) => found.isMet)
    const told = [
      `## ${each.title}`,
      '',
      '| | wanted | got | |',
      '|---|---|---|---|',
      ...findings.map(
        ({ what, wanted, got, isMet: is }) =>
          `| ${what} | ${wanted} | ${got} | ${is ? 'reached' : '**not reached**'} |`,
      ),
      '',
      ...notes.map((note) => `- ${note}`),
      '',
    ]
    process.stdout.write(`\n${told.join('\n')}`)
    lines.push(...told)
  }
  say(`bench: took ${((performance.now() - startedAt) / 60_000).toFixed(1)} minutes`)
  if (!isShort && !isAlone && positionals.length === 0) write(lines)
  return isMet ? 0 : 1
}

function brokenOff(error: unknown): Outcome {
  say(`bench: ${error instanceof Error ? error.stack : String(error)}`)
  return { findings: [finding('the case', 'to its end', 'broke off', false)], notes: [] }
}

/** In a lab of its own, so that none has what another one has left. */
async function run(name: string, each: ClusterCase): Promise<Outcome> {
  const from = performance.now()
  await using lab = await startLab({
    ...{ replicas: 3, workers, siteMs: 60, isShared: !isAlone },
    config: { jobs: { max_jobs: 100_000, max_jobs_per_key: 100_000 } },
  })
  const tell = (what: string) => say(`bench: ${name} [${((performance.now() - from) / 1_000).toFixed(0)} s] ${what}`)
  tell(`${workers} workers and 3 replicas are up`)
  return await each.run(lab, tell)
}

function write(lines: readonly string[]): void {
  const results = join(ROOT, 'bench', 'results')
  mkdirSync(results, { recursive: true })
  const at = new Date().toISOString().slice(0, 16).replace('T', ' ')
  const head = [
    '# Several gateways, one pool',
    '',
    `${at}, commit ${commitText()}, ${machineText()}. By \`npm run bench -- cluster\`: 3 replicas with ${workers} simulated workers that all of them`,
    'reach, redis-server, and haproxy with `deploy/haproxy.cfg`, all on this machine.',
    '',
  ]
  writeFileSync(join(results, 'cluster.md'), [...head, ...lines].join('\n'))
}

function say(what: string): void {
  process.stderr.write(`${what}\n`)
}

import { existsSync, readFileSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { bytes, tunnels } from './cases/alone.ts'
import { newStreams } from './cases/first-byte.ts'
import { keptAlive } from './cases/kept-alive.ts'
import { rates } from './cases/requests.ts'
import { type Figure, type Goal, measured, together } from './lib/figures.ts'
import { type Better, type Compared, compare, type GateFile, learn } from './lib/gate-ratios.ts'
import { commitText, machineText } from './lib/machine.ts'
import { BARE } from './lib/report.ts'
import { ROOT } from './stage/root.ts'
import { Stages } from './stage/stages.ts'

const FILE = join(ROOT, 'bench', 'results', 'gate.json')
const ROUNDS = 3
const KEPT = [BARE, 'CBTOR /fetch']

type Ratio = Omit<Goal, 'text' | 'atMost' | 'atLeast'> & { readonly better: Better }

/** What the gate looks at: each a ratio of two contestants of the same run. */
const RATIOS: Readonly<Record<string, Ratio>> = {
  'new tunnels, HTTP port, of proxy-chain': {
    ...{ case: 'alone', variant: 'new tunnels, 64 at a time', contestant: 'CBTOR HTTP port' },
    ...{ against: { contestant: 'proxy-chain' }, better: 'higher' },
  },
  'new tunnels, SOCKS5 port, of proxy-chain': {
    ...{ case: 'alone', variant: 'new tunnels, 64 at a time', contestant: 'CBTOR SOCKS5 port' },
    ...{ against: { contestant: 'proxy-chain' }, better: 'higher' },
  },
  'one stream, HTTP port, of proxy-chain': {
    ...{ case: 'alone', variant: 'one stream', contestant: 'CBTOR HTTP port' },
    ...{ against: { contestant: 'proxy-chain' }, better: 'higher' },
  },
  'small GET, HTTP port, of haproxy': {
    ...{ case: 'requests', variant: '1 kB, 64 at a time, a connection each', contestant: 'CBTOR HTTP port' },
    ...{ against: { contestant: 'haproxy → tor' }, better: 'higher' },
  },
  'small GET, HTTP port, of proxy-chain': {
    ...{ case: 'requests', variant: '1 kB, 64 at a time, a connection each', contestant: 'CBTOR HTTP port' },
    ...{ against: { contestant: 'proxy-chain → tor' }, better: 'higher' },
  },
  'small GET, /fetch, of bare tor with kept connections': {
    ...{ case: 'requests', variant: '1 kB, 64 at a time, kept connections', contestant: 'CBTOR /fetch' },
    ...{ against: { contestant: BARE }, better: 'higher' },
  },
  'small GET, HTTP port, of haproxy → privoxy': {
    ...{ case: 'requests', variant: '1 kB, 64 at a time, a connection each', contestant: 'CBTOR HTTP port' },
    ...{ against: { contestant: 'haproxy → privoxy → tor' }, better: 'higher' },
  },
  'kept-alive request at 20 ms a hop, /fetch, of bare tor': {
    ...{ case: 'kept-alive', variant: 'http, first byte', contestant: 'CBTOR /fetch' },
    ...{ against: { contestant: BARE }, better: 'lower' },
  },
  'first byte at 20 ms a hop, http, HTTP port, of bare tor': {
    ...{ case: 'first-byte', variant: 'new stream, warm circuit, http', contestant: 'CBTOR HTTP port' },
    ...{ against: { contestant: BARE }, better: 'lower' },
  },
  'first byte at 20 ms a hop, https, /fetch, of bare tor': {
    ...{ case: 'first-byte', variant: 'new stream, warm circuit, https', contestant: 'CBTOR /fetch' },
    ...{ against: { contestant: BARE }, better: 'lower' },
  },
}

/** 0 when no ratio is worse than it was by more than its noise; one that is gets a second look first. */
export async function checkGate(say: (what: string) => void): Promise<number> {
  if (!existsSync(FILE)) {
    say('gate: there is no bench/results/gate.json to compare with; npm run bench -- gate --learn 5 writes it')
    return 1
  }
  const known = JSON.parse(readFileSync(FILE, 'utf8')) as GateFile
  await using stages = new Stages(say)
  const figures = await look(stages, say)
  const missing = [
    ...new Set(figures.flatMap(({ contestant, missing }) => (missing ? `${contestant}: ${missing}` : []))),
  ]
  let worse = report(known, ratiosOf(figures))
  if (worse.length > 0 && missing.length === 0) {
    say('gate: a second look')
    // Both looks together, so that chance has less to say, and only at what is in doubt.
    const cases = new Set(worse.flatMap(({ name }) => RATIOS[name]?.case ?? []))
    worse = report(known, ratiosOf(together(figures, await look(stages, say, cases))))
  }
  for (const peer of missing) process.stdout.write(`missing: ${peer}\n`)
  return worse.length > 0 || missing.length > 0 ? 1 : 0
}

export async function learnGate(runs: number, say: (what: string) => void): Promise<number> {
  const seen = new Map<string, number[]>()
  for (let run = 1; run <= runs; run++) {
    say(`gate: run ${run} of ${runs}`)
    await using stages = new Stages(say)
    for (const [name, ratio] of ratiosOf(await look(stages, say))) seen.set(name, [...(seen.get(name) ?? []), ratio])
  }
  const lacking = Object.keys(RATIOS).filter((name) => seen.get(name)?.length !== runs)
  if (lacking.length > 0) {
    say(`gate: nothing was learned, as these were not measured in every run: ${lacking.join('; ')}`)
    return 1
  }
  const ratios = Object.fromEntries(
    Object.entries(RATIOS).map(([name, { better }]) => [name, learn(seen.get(name) ?? [], better)]),
  )
  const file: GateFile = { commit: commitText(), machine: machineText(), runs, ratios }
  writeFileSync(FILE, `${JSON.stringify(file, undefined, 2)}\n`)
  report(file, new Map(Object.entries(ratios).map(([name, { ratio }]) => [name, ratio])))
  return 0
}

/** What the ratios of these cases are made of, or of all. */
async function look(stages: Stages, say: (what: string) => void, cases?: ReadonlySet<string>): Promise<Figure[]> {
  const isWanted = (name: string) => cases === undefined || cases.has(name)
  const figures: Figure[] = []
  if (isWanted('alone')) {
    const alone = await stages.alone()
    figures.push(...(await tunnels('alone', alone, 64, ROUNDS, 1, say)))
    figures.push(...(await bytes('alone', alone, ROUNDS, 1, say)))
  }
  if (isWanted('requests')) {
    const near = await stages.tor(0)
    const small = { page: 'small', concurrency: 64 } as const
    const both = [BARE, 'haproxy → tor', 'haproxy → privoxy → tor', 'proxy-chain → tor', 'CBTOR HTTP port']
    figures.push(...(await rates('requests', near, { ...small, isKept: false }, ROUNDS, 1, say, both)))
    figures.push(...(await rates('requests', near, { ...small, isKept: true }, ROUNDS, 1, say, KEPT)))
  }
  if (isWanted('first-byte')) {
    const ours = [BARE, 'CBTOR HTTP port', 'CBTOR /fetch']
    figures.push(...(await newStreams('first-byte', await stages.tor(20), ['http', 'https'], 8, say, ours)))
  }
  if (isWanted('kept-alive'))
    figures.push(...(await keptAlive('kept-alive', await stages.tor(20), ROUNDS, 8, say, KEPT)))
  return figures
}

function ratiosOf(figures: readonly Figure[]): Map<string, number> {
  return new Map(
    Object.entries(RATIOS).flatMap(([name, ratio]) => {
      const got = measured(ratio, figures)
      return got === undefined ? [] : [[name, got] as const]
    }),
  )
}

/** Prints each ratio beside the known one, and returns those that are worse. */
function report(known: GateFile, got: ReadonlyMap<string, number>): readonly Compared[] {
  const all = compare(known.ratios, got)
  for (const { name, now, known: was, bound, isWorse, better } of all) {
    const limit = `${better === 'lower' ? '≤' : '≥'} ${bound.toFixed(2)}`
    const seen = now?.toFixed(2) ?? 'not measured'
    process.stdout.write(`${isWorse ? 'worse' : 'ok   '}  ${name.padEnd(60)} ${seen}  (${was.toFixed(2)}; ${limit})\n`)
  }
  return all.filter(({ isWorse }) => isWorse)
}

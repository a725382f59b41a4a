/** What bench/ makes of what it has measured. */
import assert from 'node:assert/strict'
import { execFile } from 'node:child_process'
import { describe, it } from 'node:test'
import { promisify } from 'node:util'
import { type Figure, type Goal, judge, measured, together } from '../bench/lib/figures.ts'
import { compare, learn } from '../bench/lib/gate-ratios.ts'
import { tableLines, verdictLines } from '../bench/lib/report.ts'
import { median, pairedRatio, quantile, spread } from '../bench/lib/stats.ts'

const figure = (contestant: string, values: number[], more: Partial<Figure> = {}): Figure => ({
  ...{ case: 'requests', variant: 'small', contestant, unit: 'req/s', values },
  ...more,
})
const FIGURES = [figure('bare tor', [100, 50, 200]), figure('ours', [80, 60, 160])]
const GOAL: Goal = {
  ...{ text: 'ours of bare tor', case: 'requests', variant: 'small', contestant: 'ours' },
  ...{ against: { contestant: 'bare tor' }, atLeast: 0.8 },
}

describe('the statistics', () => {
  it('are those of the textbook', () => {
    assert.equal(median([3, 1, 2]), 2)
    assert.equal(median([4, 1, 2, 3]), 2.5)
    assert.equal(quantile([1, 2, 3, 4, 5], 0.25), 2)
    assert.equal(spread([1, 2, 3, 4, 5]), 2 / 3)
    assert.equal(spread([7]), 0)
    assert.ok(Number.isNaN(median([])))
  })

  it('take a ratio within each round, so that a slow round counts for both', () => {
    assert.equal(pairedRatio([80, 60, 160], [100, 50, 200]), 0.8)
    assert.ok(Number.isNaN(pairedRatio([1], [])))
  })
})

describe('judge()', () => {
  it('holds a ratio, or a number, to its bound', () => {
    assert.deepEqual(judge(GOAL, FIGURES), { goal: GOAL, got: 0.8, isMet: true })
    assert.equal(judge({ ...GOAL, atLeast: 0.81 }, FIGURES).isMet, false)
    const { against: _, atLeast: __, ...number } = GOAL
    assert.deepEqual(judge({ ...number, atMost: 80 }, FIGURES), {
      goal: { ...number, atMost: 80 },
      got: 80,
      isMet: true,
    })
  })

  it('takes what was not measured for not reached', () => {
    assert.deepEqual(judge(GOAL, [figure('ours', [1])]), { goal: GOAL, got: undefined, isMet: false })
    assert.deepEqual(judge(GOAL, []), { goal: GOAL, got: undefined, isMet: false })
    const missing = [figure('bare tor', [], { missing: 'not here' }), figure('ours', [1])]
    assert.equal(judge(GOAL, missing).isMet, false)
  })
})

describe('the tables', () => {
  it('have a row for a peer that is not here, with the reason', () => {
    const rows = tableLines([...FIGURES, figure('haproxy → tor', [], { missing: 'haproxy is not installed' })])
    assert.match(rows[2] ?? '', /^\| bare tor +\| +100 \| +75 % \| +1\.00 \| +\|$/)
    assert.match(rows[4] ?? '', /^\| haproxy → tor +\| +– \| +– \| +– \| haproxy is not installed \|$/)
  })

  it('say of each goal what was wanted, what came, and whether that is enough', () => {
    assert.match(verdictLines([judge(GOAL, FIGURES)])[2] ?? '', /ours of bare tor \| +≥ 0\.8 \| 0\.80 \| reached \|/)
    assert.match(verdictLines([judge(GOAL, [])])[2] ?? '', /not measured \| not reached \|/)
  })
})

describe('the gate', () => {
  it('learns a ratio and by how much it is off by chance', () => {
    assert.deepEqual(learn([1, 1.4, 0.9], 'higher'), { ratio: 1, noise: 0.8, better: 'higher' })
    assert.deepEqual(learn([2, 2, 2], 'lower'), { ratio: 2, noise: 0.25, better: 'lower' })
  })

  it('lets pass what is worse by no more than chance, and nothing that is not measured', () => {
    const known = {
      rate: { ratio: 1.2, noise: 0.2, better: 'higher' },
      time: { ratio: 0.5, noise: 0.2, better: 'lower' },
    } as const
    const worse = (...got: [string, number][]) =>
      compare(known, new Map(got)).flatMap(({ name, isWorse }) => (isWorse ? [name] : []))
    assert.deepEqual(worse(['rate', 1.01], ['time', 0.59]), [])
    assert.deepEqual(worse(['rate', 9], ['time', 0.1]), [])
    assert.deepEqual(worse(['rate', 0.99], ['time', 0.61]), ['rate', 'time'])
    assert.deepEqual(worse(['rate', 1.2]), ['time'])
  })

  it('takes a second look as more rounds of the first', () => {
    const both = together(FIGURES, [figure('ours', [10]), figure('bare tor', [20])])
    assert.deepEqual(
      both.map(({ values }) => values),
      [
        [100, 50, 200, 20],
        [80, 60, 160, 10],
      ],
    )
    assert.equal(measured(GOAL, both), 0.8)
  })
})

describe('npm run bench', () => {
  it('answers a name that is none with the names that are, and measures nothing', async () => {
    const bench = new URL('../bench/main.ts', import.meta.url).pathname
    const run = promisify(execFile)(process.execPath, [bench, 'requests', 'fist-byte'], { timeout: 30_000 })
    await assert.rejects(run, (error: { code: number; stderr: string; stdout: string }) => {
      assert.equal(error.code, 2)
      assert.equal(error.stdout, '')
      assert.match(error.stderr, /^bench: there is no case "fist-byte"\. There are:$/m)
      for (const name of ['micro', 'alone', 'requests', 'streams', 'first-byte', 'failures', 'gate'])
        assert.match(error.stderr, new RegExp(`^  ${name} `, 'm'))
      return true
    })
  })

  it('answers other arguments that are wrong with what would be right', async () => {
    const bench = new URL('../bench/main.ts', import.meta.url).pathname
    const answers: readonly (readonly [string[], RegExp])[] = [
      [['gate', 'micro'], /^bench: "gate" looks at cases of its own: write it alone$/m],
      [['--learn', '3'], /^bench: --learn is for "gate"$/m],
      [['micro', '--rounds', 'many'], /^bench: --rounds takes a number above 0, not "many"$/m],
      [['--fast'], /^bench: Unknown option '--fast'/m],
    ]
    for (const [args, said] of answers)
      await assert.rejects(
        promisify(execFile)(process.execPath, [bench, ...args], { timeout: 30_000 }),
        (error: { code: number; stderr: string }) => error.code === 2 && said.test(error.stderr),
      )
  })
})

import { PROMISES, type PromiseTest } from './promises.ts'
import type { Result } from './record.ts'

/** What became of a promise's tests. `not run`: there is no result of at least one of them. */
export type Verdict = 'green' | 'FAILED' | 'not run'

/** Of one promise's test: a `*` in its title stands for anything. */
export function verdictOf(test: PromiseTest, results: readonly Result[]): Verdict {
  const mine = results.filter(({ file, title }) => file === test.file && pattern(test.title).test(title))
  if (mine.some(({ outcome }) => outcome === 'failed')) return 'FAILED'
  return mine.length > 0 && mine.every(({ outcome }) => outcome === 'green') ? 'green' : 'not run'
}

/** The table of the manual, with what became of each promise. */
export function promisesTable(results: readonly Result[]): string {
  const rows = PROMISES.map(({ promise, figure, measured, tests }, index) => {
    const shown = [...Map.groupBy(tests, ({ file }) => file)].map(
      ([file, own]) =>
        `\`${file}\`: ${own.map(({ title }) => (title === '*' ? 'all' : `“${escaped(title)}”`)).join(', ')}`,
    )
    const verdicts = tests.map((test) => verdictOf(test, results))
    const verdict = (['FAILED', 'not run'] as const).find((each) => verdicts.includes(each)) ?? 'green'
    return `| ${index + 1} | ${promise} | ${figure} | ${measured ?? 'all'} | ${shown.join('<br>')} | ${verdict} |`
  })
  return [
    '| # | promise | figure | in `npm test`, and at full length | tests | result |',
    '|---|---|---|---|---|---|',
    ...rows,
    '',
  ].join('\n')
}

export const BEGIN = '<!-- promises: made by `npm run promises` from the results of `npm test` -->\n'
export const END = '<!-- end of promises -->\n'

/** `manual` with the table between its two marks replaced. */
export function withTable(manual: string, table: string): string {
  const [before, rest = ''] = manual.split(BEGIN)
  const [old, after] = rest.split(END)
  if (old === undefined || after === undefined)
    throw new Error('The manual has no marks of where the table of promises is')
  return `${before}${BEGIN}${table}${END}${after}`
}

function pattern(title: string): RegExp {
  const parts = title.split('*').map((part) => part.replace(/[\\^$.|?+()[\]{}]/g, '\\$&'))
  return new RegExp(`^${parts.join('.*')}$`, 's')
}

function escaped(title: string): string {
  return title.replaceAll('|', '\\|').replaceAll('<', '&lt;').replaceAll('*', '…')
}

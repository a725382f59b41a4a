import type { Figure, Goal, Unit, Verdict } from './figures.ts'
import { median, pairedRatio, spread } from './stats.ts'

export const BARE = 'bare tor'

export interface Report {
  readonly at: string
  readonly commit: string
  readonly machine: string
  readonly versions: Readonly<Record<string, string>>
  readonly figures: readonly Figure[]
  readonly verdicts: readonly Verdict[]
}

/** For people: every variant as a table, then what was to be reached. */
export function markdown(report: Report, titles: ReadonlyMap<string, string>): string {
  const versions = Object.entries(report.versions).map(([name, version]) => `${name} ${version}`)
  return [
    '# What was measured',
    '',
    `${report.at}, commit ${report.commit}, ${report.machine}. ${versions.join(', ')}.`,
    '',
    'By `npm run bench`: all contestants on the same four Tors of a private network, in turns. Absolute figures hold for nothing but',
    'comparing rows of one table. *Spread* is how far the middle half of the rounds lies apart.',
    '',
    '## To be reached',
    '',
    ...verdictLines(report.verdicts),
    '',
    ...[...Map.groupBy(report.figures, (figure) => figure.case)].flatMap(([name, figures]) => [
      `## ${titles.get(name) ?? name}`,
      '',
      ...[...Map.groupBy(figures, ({ variant }) => variant)].flatMap(([variant, rows]) => [
        `### ${variant}`,
        '',
        ...tableLines(rows),
        '',
      ]),
    ]),
  ].join('\n')
}

export function tableLines(rows: readonly Figure[]): string[] {
  const base = rows.find(({ contestant }) => contestant === BARE)?.values
  const hasNotes = rows.some(({ note, missing }) => note ?? missing)
  const head = ['', rows[0]?.unit ?? '', 'spread', ...(base ? [`of ${BARE}`] : []), ...(hasNotes ? [''] : [])]
  const lines = rows.map(({ contestant, unit, values, note, missing }) => [
    contestant,
    missing === undefined ? showNumber(median(values), unit) : '–',
    missing === undefined ? `${(100 * spread(values)).toFixed(0)} %` : '–',
    ...(base ? [missing === undefined ? showRatio(pairedRatio(values, base)) : '–'] : []),
    ...(hasNotes ? [missing ?? note ?? ''] : []),
  ])
  return markdownTable(head, lines)
}

export function verdictLines(verdicts: readonly Verdict[]): string[] {
  return markdownTable(
    ['', 'wanted', 'got', ''],
    verdicts.map(({ goal, got, isMet }) => [
      goal.text,
      bound(goal),
      got === undefined ? 'not measured' : showRatio(got),
      isMet ? 'reached' : 'not reached',
    ]),
  )
}

function bound({ atMost, atLeast }: Goal): string {
  return [...(atMost === undefined ? [] : [`≤ ${atMost}`]), ...(atLeast === undefined ? [] : [`≥ ${atLeast}`])].join(
    ', ',
  )
}

function markdownTable(head: readonly string[], rows: readonly (readonly string[])[]): string[] {
  const widths = head.map((cell, column) => Math.max(3, cell.length, ...rows.map((row) => row[column]?.length ?? 0)))
  const line = (cells: readonly string[]) =>
    `| ${widths.map((width, column) => (column === 0 ? (cells[column] ?? '').padEnd(width) : (cells[column] ?? '').padStart(width))).join(' | ')} |`
  const rule = `|${widths.map((width, column) => (column === 0 ? '-'.repeat(width + 2) : `${'-'.repeat(width + 1)}:`)).join('|')}|`
  return [line(head), rule, ...rows.map(line)]
}

function showRatio(ratio: number): string {
  return Number.isNaN(ratio) ? '–' : Math.abs(ratio) >= 100 ? ratio.toFixed(0) : ratio.toFixed(2)
}

function showNumber(value: number, unit: Unit): string {
  if (Number.isNaN(value)) return '–'
  const digits = value >= 100 || unit === 'failed' ? 0 : value >= 10 ? 1 : 2
  return value.toFixed(digits)
}

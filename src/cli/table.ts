import { visible } from './visible.ts'

/** Columns of plain text, as wide as their widest cell; what cells have of control characters is shown. */
export function formatTable(header: readonly string[], foreign: readonly (readonly string[])[]): string {
  const rows = foreign.map((row) => row.map((cell) => visible(cell).replaceAll('\n', ' ')))
  const widths = header.map((title, column) => Math.max(title.length, ...rows.map((row) => row[column]?.length ?? 0)))
  const line = (cells: readonly string[]) =>
    cells
      .map((cell, column) => cell.padEnd(widths[column] ?? 0))
      .join('  ')
      .trimEnd()
  return [header, ...rows].map(line).join('\n')
}

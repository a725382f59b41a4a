import type { ComponentChildren } from 'preact'

export interface Column<Row> {
  readonly head: string
  readonly cell: (row: Row) => ComponentChildren
  /** Numbers stand at the end, in figures of one width. */
  readonly isNumber?: boolean
  /** Whether the head is only told to screen readers: for a column of buttons. */
  readonly isHeadHidden?: boolean
  /** Takes what room is left. */
  readonly isWide?: boolean
}

interface TableProps<Row> {
  /** What it lists, for screen readers. */
  readonly label: string
  readonly columns: readonly Column<Row>[]
  readonly rows: readonly Row[]
  readonly keyOf: (row: Row) => string | number
  /** Instead of the table when there are no rows. */
  readonly empty: ComponentChildren
  readonly toneOf?: (row: Row) => 'bad' | 'warn' | undefined
}

/** Rows of a table; at phone width each row is a small list of its own. */
export function Table<Row>({ label, columns, rows, keyOf, empty, toneOf }: TableProps<Row>) {
  if (rows.length === 0) return <>{empty}</>
  return (
    // biome-ignore lint/a11y/noNoninteractiveTabindex: a region that scrolls must be reachable by keyboard
    <section class="table-scroll" tabIndex={0} aria-label={label}>
      <table class="table">
        <thead>
          <tr>
            {columns.map(({ head, isNumber, isHeadHidden, isWide }) => (
              <th key={head} scope="col" class={classOf(isNumber, isWide)}>
                {isHeadHidden ? <span class="for-readers">{head}</span> : head}
              </th>
            ))}
          </tr>
        </thead>
        <tbody>
          {rows.map((row) => (
            <tr key={keyOf(row)} data-tone={toneOf?.(row)}>
              {columns.map(({ head, cell, isNumber, isHeadHidden, isWide }) => (
                <td key={head} class={classOf(isNumber, isWide)} data-head={isHeadHidden ? undefined : head}>
                  {cell(row)}
                </td>
              ))}
            </tr>
          ))}
        </tbody>
      </table>
    </section>
  )
}

function classOf(isNumber = false, isWide = false): string | undefined {
  return [isNumber && 'number', isWide && 'wide'].filter(Boolean).join(' ') || undefined
}

import { visible } from '../visible.ts'

export type Style = 'good' | 'doubtful' | 'bad' | 'faint' | 'strong' | 'chosen'

/** A piece of a line that looks the same throughout. */
export type Piece = string | readonly [text: string, style: Style | undefined]
export type Line = readonly Piece[]

const CODES: Readonly<Record<Style, string>> = {
  good: '32',
  doubtful: '33',
  bad: '31;1',
  faint: '2',
  strong: '1',
  chosen: '7',
}
const COLOURS: readonly Style[] = ['good', 'doubtful', 'bad']

/** A line of at most `columns` characters, in a terminal's codes unless `plain`. Without colours, weight and reversal stay. */
export function showLine(line: Line, columns: number, look: 'colours' | 'no-colours' | 'plain'): string {
  let room = columns
  let shown = ''
  for (const piece of line) {
    const [raw, style] = typeof piece === 'string' ? [piece, undefined] : piece
    const text = [...visible(raw).replaceAll('\n', ' ')].slice(0, room).join('')
    room -= [...text].length
    const code =
      style === undefined || look === 'plain' || (look === 'no-colours' && COLOURS.includes(style))
        ? undefined
        : CODES[style]
    shown += code === undefined || text === '' ? text : `\x1b[${code}m${text}\x1b[0m`
  }
  return look === 'plain' ? shown.trimEnd() : shown
}

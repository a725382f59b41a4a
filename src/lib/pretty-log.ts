const LEVELS: Readonly<Record<number, readonly [label: string, colour: number]>> = {
  20: ['debug', 90],
  30: ['info', 32],
  40: ['warn', 33],
  50: ['error', 31],
}

/**
 * An entry of the log, a line of JSON, as one line for people: `12:00:00.000 warn  what happened worker=tor01 ms=5`. What the message says
 * already is not said again, and events are without the number that programs go by.
 */
export function prettyLine(json: string, hasColours: boolean): string {
  const { level, time, msg, ...fields } = JSON.parse(json) as { level: number; time: string; msg?: string }
  const [label, colour] = LEVELS[level] ?? [String(level), 0]
  const paint = (code: number, text: string) => (hasColours ? `\u001b[${code}m${text}\u001b[0m` : text)
  const isNews = ([name, value]: [string, unknown]) =>
    !isSaid(value, msg ?? '') && !(name === 'id' && 'event' in fields)
  const shown = Object.entries(fields)
    .filter(isNews)
    .map(([name, value]) => `${paint(90, `${name}=`)}${text(value)}`)
  return `${[paint(90, clockTime(time)), paint(colour, label.padEnd(5)), msg ?? '', ...shown].join(' ')}\n`
}

/** As a whole, not as a part of some word. */
function isSaid(value: unknown, message: string): boolean {
  if (typeof value !== 'string' || value === '') return false
  return value.includes(' ') ? message.includes(value) : message.split(/[^\w.-]+/).includes(value)
}

/** As short as it is unmistakable: a word as it is, numbers with one decimal, everything else as JSON. */
function text(value: unknown): string {
  if (typeof value === 'number') return String(Math.round(value * 10) / 10)
  return typeof value === 'string' && /^[^\s"=]+$/.test(value) ? value : JSON.stringify(value)
}

/** Of the day, where the machine is. */
function clockTime(time: string): string {
  const date = new Date(time)
  const two = (n: number) => String(n).padStart(2, '0')
  const seconds = `${two(date.getSeconds())}.${String(date.getMilliseconds()).padStart(3, '0')}`
  return `${two(date.getHours())}:${two(date.getMinutes())}:${seconds}`
}

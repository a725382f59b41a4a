const UNITS: Readonly<Record<string, number>> = { ms: 1, s: 1_000, m: 60_000, h: 3_600_000, d: 86_400_000 }

export const DURATION_PATTERN = '^(\\d+(?:\\.\\d+)?)(ms|s|m|h|d)$'
const DURATION = new RegExp(DURATION_PATTERN)

/** `'10s'`, `'1.5m'`, `'250ms'` → milliseconds; undefined for anything else. A bare number has no unit and is refused. */
export function parseDuration(text: string): number | undefined {
  const [, amount, unit = ''] = DURATION.exec(text) ?? []
  const factor = UNITS[unit]
  return amount === undefined || factor === undefined ? undefined : Math.round(Number(amount) * factor)
}

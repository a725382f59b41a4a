import { parseIsoTime } from '../lib/iso-time.ts'

const UNITS: readonly (readonly [ms: number, name: string])[] = [
  [86_400_000, 'd'],
  [3_600_000, 'h'],
  [60_000, 'min'],
]

/** How long that is, for people: `12 s`, `5 min`, `3 h`, `2 d`. */
export function showSpan(ms: number): string {
  for (const [unit, name] of UNITS) if (ms >= unit) return `${Math.floor(ms / unit)} ${name}`
  return `${Math.max(0, Math.round(ms / 1_000))} s`
}

/** From an instant of the API until `now`. */
export function showAge(at: string, now: number): string {
  return showSpan(now - parseIsoTime(at))
}

/** From `now` until an instant of the API; `now` once it has come. */
export function showCountdown(at: string, now: number): string {
  const ms = parseIsoTime(at) - now
  return ms >= 500 ? `in ${showSpan(ms)}` : 'now'
}

export function showMs(ms: number): string {
  return ms < 10 ? `${Math.round(ms * 10) / 10} ms` : ms < 10_000 ? `${Math.round(ms)} ms` : showSpan(ms)
}

export function showBytes(bytes: number): string {
  const units = ['B', 'KiB', 'MiB', 'GiB', 'TiB']
  let value = bytes
  let unit = 0
  while (value >= 1_024 && unit < units.length - 1) {
    value /= 1_024
    unit++
  }
  return `${unit === 0 || value >= 100 ? Math.round(value) : value.toFixed(1)} ${units[unit]}`
}

/** Figures and times as people read them. */

/** `0 s`, `40 s`, `3 min`, `2 h 5 min`, `3 d`. */
export function roughDuration(ms: number): string {
  const seconds = Math.round(ms / 1_000)
  if (seconds < 120) return `${seconds} s`
  const minutes = Math.floor(seconds / 60)
  if (minutes < 60) return `${minutes} min`
  const hours = Math.floor(minutes / 60)
  if (hours < 48) return minutes % 60 === 0 || hours >= 10 ? `${hours} h` : `${hours} h ${minutes % 60} min`
  return `${Math.floor(hours / 24)} d`
}

/** `740 ms`, `1.2 s`, `14 s`; a dash for nothing. */
export function latency(ms: number | null | undefined): string {
  if (ms === null || ms === undefined) return '–'
  if (ms < 1_000) return `${Math.round(ms)} ms`
  return ms < 10_000 ? `${(ms / 1_000).toFixed(1)} s` : `${Math.round(ms / 1_000)} s`
}

const UNITS = ['B', 'kB', 'MB', 'GB', 'TB']

/** `0 B`, `1.4 kB`, `23 MB`: in thousands. */
export function bytes(count: number): string {
  let value = count
  let unit = 0
  while (value >= 999.5 && unit < UNITS.length - 1) {
    value /= 1_000
    unit++
  }
  return `${unit > 0 && value < 9.95 ? value.toFixed(1) : Math.round(value)} ${UNITS[unit]}`
}

/** `12.4`, `0.3`, `210`. */
export function rate(perSecond: number): string {
  return perSecond < 99.95 ? perSecond.toFixed(1) : String(Math.round(perSecond))
}

/** `99.7 %`, `100 %`; never 100 when something failed. */
export function percent(ratio: number | null): string {
  if (ratio === null) return '–'
  if (ratio === 1 || ratio === 0) return `${ratio * 100} %`
  return `${Math.min(99.9, Math.max(0.1, ratio * 100)).toFixed(1)} %`
}

/** `1,204`. */
export function figure(count: number): string {
  return count.toLocaleString('en')
}

/** `1 worker`, `4 workers`. */
export function counted(count: number, one: string, many = `${one}s`): string {
  return `${figure(count)} ${count === 1 ? one : many}`
}

/** `new-circuits` and `restart_tor` as words. */
export function inWords(name: string): string {
  return name.replaceAll(/[-_]/g, ' ')
}

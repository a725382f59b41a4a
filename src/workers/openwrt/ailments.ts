import type { BoxVitals } from './box-tor.ts'

/** Beyond that, what writes there begins to fail: Tor's next start, the status file of the health script. */
const FULL_PERCENT = 95
/** Cron runs the health script every minute, and a run may take another one. */
const SILENT_AFTER_MS = 150_000
/** Tor takes a consensus whose time is an hour off; a box without a clock of its own is off by years until it asks for the time. */
const SKEW_MS = 300_000

/** What is wrong with a box although its Tor may work, a sentence each: what it is and what mends it. */
export function ailmentsOf({ now, node, usedPercent }: BoxVitals, ourNow: number): readonly string[] {
  const ailments: string[] = []
  for (const [where, percent = 0] of Object.entries(usedPercent))
    if (percent >= FULL_PERCENT)
      ailments.push(`${where} is ${percent} % full, so Tor may not start again; make room, or reboot it`)
  if (node !== undefined && node.ageMs > SILENT_AFTER_MS) {
    const minutes = Math.round(node.ageMs / 60_000)
    ailments.push(`its health script has not run for ${minutes} minutes; see whether cron runs and /tmp has room`)
  }
  if (node?.state === 'OFFLINE')
    ailments.push(`its health script calls it OFFLINE: ${node.reason ?? 'no reason given'}`)
  const skewMs = now - ourNow
  if (Math.abs(skewMs) > SKEW_MS) {
    const way = skewMs > 0 ? 'ahead' : 'behind'
    ailments.push(
      `its clock is ${Math.round(Math.abs(skewMs) / 60_000)} minutes ${way}; see whether it reaches a time server`,
    )
  }
  return ailments
}

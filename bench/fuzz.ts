/**
 * A long fuzz of the ports: mutated requests to a service of its own with fake workers, and what became of them.
 *
 *   node bench/fuzz.ts [--count 1000000] [--seed N] [--port api|http|socks|both]
 *
 * `--count` is for each port; all four are taken unless one is named. Ends with 1 when there was a crash, an answer that is not
 * well-formed or `internal`, a hang, a connection left behind, or memory that grows.
 */
import { parseArgs } from 'node:util'
import { type FuzzReport, fuzz, growthOf } from '../test/fuzz/fuzz.ts'

const { values } = parseArgs({
  options: {
    count: { type: 'string', default: '1000000' },
    seed: { type: 'string', default: String(Date.now() % 1_000_000) },
    port: { type: 'string' },
  },
})
const MIB = 1024 * 1024
const PORTS = ['api', 'http', 'socks', 'both'] as const
const ports = PORTS.filter((name) => values.port === undefined || values.port === name)
let isBad = false
/** Faults of the port. */
let shown = 0
for (const port of ports) {
  shown = 0
  const report = await fuzz({ port, count: Number(values.count), seed: Number(values.seed), onProgress: show })
  const growth = growthOf(report)
  isBad ||= report.faults.length > 0 || growth.heap > 8 * MIB || growth.rss > 64 * MIB
  print(`${port}, seed ${report.seed}: ${report.sent} requests in ${report.seconds.toFixed(0)} s`)
  for (const [what, count] of [...report.answers].sort((a, b) => b[1] - a[1])) print(`  ${count} × ${what}`)
  print(`  grown behind the first quarter: heap ${mib(growth.heap)} MiB, resident ${mib(growth.rss)} MiB`)
}
process.exitCode = isBad ? 1 : 0

/** Faults, as soon as they are known, and what the service holds. */
function show({ port, sent, seconds, held, faults }: FuzzReport): void {
  for (const fault of faults.slice(shown)) print(`  FAULT ${fault}`)
  shown = faults.length
  const { heap = 0, external = 0, rss = 0, connections = 0 } = held.at(-1) ?? {}
  print(
    `${port}: ${sent} after ${seconds.toFixed(0)} s; heap ${mib(heap + external)} MiB, resident ${mib(rss)} MiB, ${connections} connections, ${faults.length} faults`,
  )
}

function mib(bytes: number): string {
  return (bytes / MIB).toFixed(1)
}

function print(line: string): void {
  process.stdout.write(`${line}\n`)
}
